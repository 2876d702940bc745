"""Stored features come in the order of the photographs, whatever is stored and what is not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finegrain.features import compute
from finegrain.features.compute import fill, missing_rows
from finegrain.features.stored import FeatureBatches
from finegrain.frame import Frame
from finegrain.images.augmentation import Augmentation
from finegrain.images.batches import PhotoBatches
from finegrain.stores.row_layout import RowKind
from finegrain.stores.row_store import RowStore

COUNT, VIEWS = 7, 3


class PlainComputer:
    """Features that tell which picture they came from: mean colour, and the first pixels."""

    kinds = {"mean": RowKind((3,), "float32"), "corner": RowKind((2, 2), "float16")}

    def __init__(self):
        self.images = 0

    def __call__(self, images):
        self.images += len(images)
        return {
            "mean": images.mean(axis=(1, 2), dtype=np.float32),
            "corner": images[:, :2, :2, 0].astype(np.float16),
        }


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return sorted(folder.glob("*.png"))


def photos(paths, augmentation=None):
    labels = np.arange(COUNT) % 3
    return PhotoBatches(paths, labels, 3, Frame(16, 16), 3, seed=5, augmentation=augmentation)


def store(path, rows, views=1):
    return RowStore.create(path, {"views": views}, PlainComputer.kinds, {"train": rows})


def test_without_augmentation_a_batch_is_that_of_the_photographs(paths, tmp_path):
    plain, computer = photos(paths), PlainComputer()
    rows = store(tmp_path / "a.h5", COUNT)
    assert fill(rows, {"train": plain}, computer, workers=2) == ""
    assert computer.images == COUNT
    stored = FeatureBatches(plain, rows, "train", 1, computer)
    assert stored.steps() == plain.steps() == 3
    for epoch in range(3):
        for step in range(3):
            images, expected_labels = plain.batch(epoch, step)
            features, labels = stored.batch(epoch, step)
            np.testing.assert_array_equal(labels, expected_labels)
            for kind, values in PlainComputer()(images).items():
                np.testing.assert_allclose(features[kind], values, rtol=1e-6)
    assert computer.images == COUNT


def test_every_epoch_takes_one_view_and_all_views_come_in_turn(paths, tmp_path):
    augmented, computer = photos(paths, Augmentation()), PlainComputer()
    rows = store(tmp_path / "a.h5", COUNT * VIEWS)
    fill(rows, {"train": augmented}, computer, workers=2)
    stored = FeatureBatches(augmented, rows, "train", VIEWS, computer)
    seen = {image: [] for image in range(COUNT)}
    for epoch in range(2 * VIEWS):
        for step in range(3):
            chosen = augmented.chosen(epoch, step)
            for image, mean in zip(chosen, stored.batch(epoch, step)[0]["mean"], strict=True):
                seen[image].append(mean.tobytes())
    for image, means in seen.items():
        views = {
            PlainComputer()(augmented.views(image, [view]))["mean"].tobytes()
            for view in range(VIEWS)
        }
        assert len(views) == VIEWS
        assert set(means[:VIEWS]) == set(means[VIEWS:]) == views


@pytest.mark.parametrize("kept", [0, 1, 5, COUNT * VIEWS])
def test_what_is_not_stored_is_computed_to_the_same_numbers(paths, tmp_path, kept):
    augmented = photos(paths, Augmentation())
    whole, part = store(tmp_path / "a.h5", COUNT * VIEWS), store(tmp_path / "b.h5", kept)
    computer = PlainComputer()
    for rows in (whole, part):
        fill(rows, {"train": augmented}, computer, workers=1)
    computer.images = 0
    expected = FeatureBatches(augmented, whole, "train", VIEWS, computer)
    mixed = FeatureBatches(augmented, part, "train", VIEWS, computer)
    for step in range(3):
        for kind, values in expected.batch(4, step)[0].items():
            np.testing.assert_array_equal(mixed.batch(4, step)[0][kind], values)
    assert (computer.images > 0) == (kept < COUNT * VIEWS)


def test_filling_goes_on_where_it_stopped(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(compute, "BATCH", 2)
    plain, rows = photos(paths), store(tmp_path / "a.h5", COUNT)

    class Interrupted(PlainComputer):
        def __call__(self, images):
            if self.images == 4:
                raise KeyboardInterrupt
            return super().__call__(images)

    with pytest.raises(KeyboardInterrupt):
        fill(rows, {"train": plain}, Interrupted(), workers=2)
    assert missing_rows(rows, "train").tolist() == [4, 5, 6]
    computer = PlainComputer()
    assert fill(rows, {"train": plain}, computer, workers=2) == ""
    assert computer.images == 3 and not len(missing_rows(rows, "train"))


def test_a_full_disk_ends_the_filling_not_the_training(paths, tmp_path, monkeypatch):
    plain, rows = photos(paths), store(tmp_path / "a.h5", COUNT)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rows, "write", full)
    computer = PlainComputer()
    assert "disk is full" in fill(rows, {"train": plain}, computer, workers=1)
    stored = FeatureBatches(plain, rows, "train", 1, computer)
    expected = PlainComputer()(plain.batch(0, 0)[0])["mean"]
    np.testing.assert_allclose(stored.batch(0, 0)[0]["mean"], expected, rtol=1e-6)
