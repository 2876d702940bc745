"""Nearest training photographs against brute force, and copies across the split."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from finegrain.embeddings.feature_file import FeatureFile
from finegrain.report.neighbours import (
    Copy,
    equal_files,
    like_pictures,
    nearest_training,
    without_repeats,
)
from finegrain.report.photographs import Photographs


@pytest.mark.parametrize("block", [3, 2048])
def test_nearest_are_those_of_brute_force(tmp_path, make_features, monkeypatch, block):
    monkeypatch.setattr("finegrain.report.neighbours.BLOCK_ROWS", block)
    rng = np.random.default_rng(0)
    train, valid = rng.standard_normal((20, 7)), rng.standard_normal((4, 7))
    train[3] = 0
    names = [f"train/{n}.jpg" for n in range(20)]
    asked = [f"valid/{n}.jpg" for n in range(4)]
    file = make_features(
        tmp_path / "e.h5",
        ["cat", "dog"],
        {"train": (names, np.arange(20) % 2, train), "valid": (asked, [0] * 4, valid)},
    )
    with FeatureFile(file) as features:
        found = nearest_training(features, "valid", [asked[2], "gone.jpg", asked[0]], 5)
    assert set(found) == {asked[2], asked[0]}
    for path, neighbours in found.items():
        query = valid[asked.index(path)]
        lengths = np.maximum(np.linalg.norm(train, axis=1), 1e-30)
        cosines = train @ query / lengths / np.linalg.norm(query)
        best = np.argsort(-cosines)[:5]
        assert [one.path for one in neighbours] == [names[n] for n in best]
        assert [one.label for one in neighbours] == [n % 2 for n in best]
        assert [one.similarity for one in neighbours] == pytest.approx(cosines[best], abs=1e-5)


def test_copies_are_told_from_what_the_model_only_finds_alike(tmp_path, make_features):
    rng = np.random.default_rng(0)

    def noise():
        small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        return Image.fromarray(small).resize((80, 60), Image.Resampling.BICUBIC)

    pictures = {f"train/{n}.png": noise() for n in range(5)}
    pictures["valid/same.png"] = pictures["train/0.png"].resize((60, 45))
    pictures["valid/mirrored.png"] = ImageOps.mirror(pictures["train/1.png"])
    pictures["valid/like.png"] = noise()
    pictures["valid/grey.png"] = pictures["train/3.png"] = Image.new("RGB", (80, 60), "grey")
    for path, picture in pictures.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        picture.save(tmp_path / path)
    train = np.eye(5, 600, dtype="float32")
    file = make_features(
        tmp_path / "e.h5",
        ["cat", "dog"],
        {
            "train": ([f"train/{n}.png" for n in range(5)], [0] * 5, train),
            "valid": (
                [f"valid/{name}.png" for name in ("same", "mirrored", "like", "grey", "gone")],
                [0] * 5,
                train + 0.001,
            ),
        },
    )
    with FeatureFile(file) as features:
        found = like_pictures(features, "valid", Photographs(tmp_path))
    assert {(copy.path, copy.training_path, copy.kind) for copy in found} == {
        ("valid/same.png", "train/0.png", "same picture"),
        ("valid/mirrored.png", "train/1.png", "mirrored"),
    }


def test_equal_files_are_found_by_their_checksums():
    import pandas as pd

    rows = [
        ("a", "train", "1"),
        ("b", "train", "1"),
        ("c", "valid", "1"),
        ("d", "valid", "2"),
        ("e", "test", "1"),
    ]
    table = pd.DataFrame(rows, columns=["path", "split", "sha1"])
    assert equal_files(table, "valid") == [Copy("c", "a", "equal file")]
    repeats = [Copy("c", "a", "equal file"), Copy("c", "a", "same picture")]
    assert without_repeats(repeats) == repeats[:1]
