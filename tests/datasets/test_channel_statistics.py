"""Mean and standard deviation against NumPy on all pixels at once, in any order, however spread."""

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from finegrain.datasets.channel_statistics import (
    STATISTICS,
    count_values,
    remove_outdated_statistics,
    statistics_of,
    write_statistics,
)
from finegrain.errors import UserError


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> list[Path]:
    """Small images: colours, grey ones, and a large turned JPEG."""
    folder = tmp_path_factory.mktemp("photographs")
    numbers = np.random.default_rng(0)
    paths = []
    for n in range(69):
        height, width = numbers.integers(1, 9, 2)
        noise = numbers.integers(0, 256, (height, width, 3), np.uint8)
        paths.append(folder / f"{n}.png")
        Image.fromarray(noise).convert("L" if n % 5 == 0 else "RGB").save(paths[-1])
    exif = Image.Exif()
    exif[0x0112] = 6
    paths.append(folder / "turned.jpg")
    noise = numbers.integers(0, 256, (40, 30, 3), np.uint8)
    Image.fromarray(noise).resize((900, 700)).save(paths[-1], exif=exif)
    return paths


def all_pixels(paths: list[Path]) -> np.ndarray:
    return np.concatenate(
        [np.asarray(Image.open(path).convert("RGB"), np.float64).reshape(-1, 3) for path in paths]
    )


def test_it_is_what_numpy_says_of_all_pixels_at_once(photographs):
    pixels = all_pixels(photographs)
    found = statistics_of(len(photographs), count_values({"all": photographs})["all"])
    assert (found.images, found.pixels) == (len(photographs), len(pixels))
    np.testing.assert_allclose(found.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std(axis=0), rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**44), min_size=256, max_size=256).filter(any))
def test_it_is_exact_at_any_number_of_pixels(counts):
    # Up to 4.5e15 pixels; 700,000 photographs have some 2e11.
    found = statistics_of(1, np.array([counts] * 3))
    pixels = sum(counts)
    mean = Fraction(sum(v * n for v, n in enumerate(counts)), pixels)
    variance = sum(n * (v - mean) ** 2 for v, n in enumerate(counts)) / pixels
    assert found.mean == (float(mean),) * 3
    assert found.std == (math.sqrt(variance),) * 3


def test_pictures_of_one_colour_do_not_deviate(tmp_path):
    Image.new("RGB", (200, 100), (255, 7, 0)).save(tmp_path / "one.png")
    found = statistics_of(1, count_values({"all": [tmp_path / "one.png"]})["all"])
    assert (found.mean, found.std) == ((255.0, 7.0, 0.0), (0.0, 0.0, 0.0))


def test_neither_order_nor_threads_matter(photographs):
    expected = count_values({"all": photographs})["all"]
    shuffled = np.random.default_rng(1).permutation(np.array(photographs)).tolist()
    parts = {"train": shuffled[:50], "valid": shuffled[50:]}
    alone, spread = (count_values(parts, workers) for workers in (1, 3))
    for name in parts:
        np.testing.assert_array_equal(spread[name], alone[name])
    np.testing.assert_array_equal(spread["train"] + spread["valid"], expected)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_image_that_went_bad_is_named(photographs, tmp_path, workers):
    gone = tmp_path / "gone.jpg"
    with pytest.raises(UserError, match=r"gone\.jpg cannot be read any more \(no such file\)"):
        count_values({"train": [*photographs, gone]}, workers)


def test_a_file_of_other_images_is_removed_and_no_one_elses(tmp_path, photographs):
    rows = pd.DataFrame(
        {"path": [path.name for path in photographs], "label": "a", "split": "train", "sha1": "0"}
    )
    for path in photographs:
        (tmp_path / path.name).hardlink_to(path)
    measured, seconds = write_statistics(tmp_path, rows)
    assert list(measured) == ["train", "all"] and seconds > 0
    written = json.loads((tmp_path / STATISTICS).read_text())
    assert written["all"]["mean"] == list(measured["all"].mean)
    assert not remove_outdated_statistics(tmp_path, rows)
    assert remove_outdated_statistics(tmp_path, rows.assign(sha1="1"))
    assert not (tmp_path / STATISTICS).exists()
    for foreign in ("{}", "no JSON", "[1]"):
        (tmp_path / STATISTICS).write_text(foreign)
        assert not remove_outdated_statistics(tmp_path, rows)
        assert (tmp_path / STATISTICS).exists()
