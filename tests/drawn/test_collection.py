"""The drawn data set: repeatable, well named, and its classes differ where they should."""

import csv
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finegrain.decode import read_pixels
from finegrain.drawn.breed import (
    PARTS,
    Breed,
    all_breeds,
    demo_breeds,
    pretraining_breeds,
    type_id,
)
from finegrain.drawn.collection import draw_arrays, part_targets, write_photos
from finegrain.drawn.photo import draw_photo
from finegrain.frame import Frame


def differing_parts(one: Breed, other: Breed) -> set[str]:
    return {part for part in PARTS if getattr(one, part) != getattr(other, part)}


def test_demo_and_pretraining_share_no_breed_and_together_are_all():
    demo, pretraining = demo_breeds(), pretraining_breeds()
    assert len(demo) >= 12
    assert len(set(demo)) == len(demo)
    assert not set(demo) & set(pretraining)
    assert set(demo) | set(pretraining) == set(all_breeds())
    assert pretraining_breeds(48) == pretraining[:48]


def test_type_ids_are_unique():
    assert len({type_id(breed) for breed in all_breeds()}) == len(all_breeds()) == 2700


def test_several_demo_breeds_differ_in_one_part_only():
    demo = demo_breeds()
    pairs = [(a, b) for i, a in enumerate(demo) for b in demo[:i]]
    close = [differing_parts(a, b) for a, b in pairs if len(differing_parts(a, b)) == 1]
    assert len(close) >= 8
    assert len(set().union(*close)) >= 4


@pytest.mark.parametrize("part", PARTS)
def test_each_choice_of_a_part_shows_with_the_nuisance_held_fixed(part):
    breed = demo_breeds()[0]
    photos = {}
    for choice in PARTS[part]:
        photo = draw_photo(replace(breed, **{part: choice}), np.random.default_rng(5))
        photos[choice] = np.asarray(photo, np.float32)
    assert len({photo.shape for photo in photos.values()}) == 1
    for choice, photo in photos.items():
        for other in photos:
            if other != choice:
                changed = np.abs(photo - photos[other]).max(axis=2) > 40
                assert changed.sum() >= 10, (choice, other)


def test_photos_of_one_breed_differ_and_stay_in_range():
    breed = demo_breeds()[3]
    photos = [draw_photo(breed, np.random.default_rng(i)) for i in range(12)]
    assert all(160 <= max(photo.size) <= 224 and photo.mode == "RGB" for photo in photos)
    assert len({photo.size for photo in photos}) > 6
    assert all(np.asarray(photo).std() > 3 for photo in photos)


def test_files_are_named_typeid_randhash_and_repeat_byte_for_byte(tmp_path):
    breeds = demo_breeds()[:3]
    first = write_photos(tmp_path / "one", breeds, 2, seed=4)
    # More pictures of fewer breeds: what both asked for must agree.
    write_photos(tmp_path / "two", breeds[1:], 3, seed=4)
    write_photos(tmp_path / "other", breeds, 2, seed=5)
    names = [name for name, _ in first]
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == sorted(names)
    assert len(set(names)) == 6
    for (name, label), breed in zip(first, np.repeat(np.array(breeds, object), 2), strict=True):
        assert re.fullmatch(rf"{label}_[0-9a-f]{{12}}\.jpg", name)
        assert label == type_id(breed)
        with Image.open(tmp_path / "one" / name) as image:
            assert image.format == "JPEG"
    for name in names[2:]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert not set(names) & {p.name for p in (tmp_path / "other").iterdir()}


def test_a_file_already_there_is_left_alone(tmp_path):
    ((name, _),) = write_photos(tmp_path, demo_breeds()[:1], 1, seed=0)
    (tmp_path / name).write_bytes(b"mine")
    # What a call leaves that was killed between the last picture and its end.
    (tmp_path / f".0123abcd.lock.{name}").touch()
    write_photos(tmp_path, demo_breeds()[:1], 1, seed=0)
    assert (tmp_path / name).read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="ear must be one of .* Received: 'square'"):
        Breed(**{**asdict(demo_breeds()[0]), "ear": "square"})


def draw(*flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "finegrain.drawn.collection", *flags]
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)


def test_command_writes_photos_a_test_folder_and_its_key(tmp_path):
    photos, test, key = (str(tmp_path / name) for name in ("photos", "test", "key.csv"))
    done = draw(
        "--output",
        photos,
        "--per-class",
        "1",
        "--test-output",
        test,
        "--test-key",
        key,
        "--test-per-class",
        "2",
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "photos").glob("*_*.jpg"))) == 12
    rows = list(csv.DictReader((tmp_path / "key.csv").open()))
    assert {row["id"] for row in rows} == {p.stem for p in (tmp_path / "test").iterdir()}
    expected = sorted(2 * [type_id(breed) for breed in demo_breeds()])
    assert sorted(int(row["label"]) for row in rows) == expected
    assert not any("_" in row["id"] for row in rows)
    hashes = {p.stem.split("_")[1] for p in (tmp_path / "photos").iterdir()}
    assert not hashes & {row["id"] for row in rows}


@pytest.mark.parametrize(
    "flags, words",
    [(["--test-output", "x"], "--test-key"), (["--seed", "-1"], "--seed must be at least 0")],
)
def test_command_refuses_flags_that_make_no_sense(tmp_path, flags, words):
    done = draw("--output", str(tmp_path / "photos"), *flags)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "photos").exists()


def test_arrays_hold_the_pictures_breed_by_breed(tmp_path):
    breeds = pretraining_breeds(3)
    images, labels = draw_arrays(tmp_path / "photos", breeds, 2, 40, seed=1)
    assert images.shape == (6, 40, 40, 3) and images.dtype == np.uint8
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    names = [name for name, _ in write_photos(tmp_path / "again", breeds, 2, seed=1)]
    for image, name in zip(images, names, strict=True):
        np.testing.assert_array_equal(image, read_pixels(tmp_path / "again" / name, Frame(40, 40)))


def test_targets_name_the_parts_of_each_breed():
    breeds = pretraining_breeds(20)
    labels = np.array([3, 0, 19, 3])
    answers = part_targets(breeds, labels)
    assert set(answers) == {"breed", *PARTS}
    assert answers["breed"].argmax(axis=1).tolist() == labels.tolist()
    for part, choices in PARTS.items():
        named = [choices[i] for i in answers[part].argmax(axis=1)]
        assert named == [getattr(breeds[label], part) for label in labels]
        assert (answers[part].sum(axis=1) == 1).all()
