"""Photographs decoded once: filled as they are read, never trusted when stale."""

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.images import pixels as pixels_module
from finegrain.images.augmentation import Augmentation
from finegrain.images.batches import PhotoBatches
from finegrain.images.drop_in import FusedImageDataGenerator
from finegrain.images.pixels import PhotoFiles, PixelStore
from finegrain.stores.store_folder import GIGABYTE, StoreFolder

SIZE = (16, 12)
FRAME = Frame(*SIZE)


@pytest.fixture
def photos(tmp_path) -> dict[str, list[Path]]:
    rng = np.random.default_rng(0)
    paths = []
    for number in range(9):
        path = tmp_path / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(path)
        paths.append(path)
    return {"valid": paths[:3], "train": paths[3:]}


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the files that were decoded, as it happens."""
    names = []
    read = pixels_module.read_pixels

    def count(path, frame):
        names.append(path.name)
        return read(path, frame)

    monkeypatch.setattr(pixels_module, "read_pixels", count)
    return names


def folder(tmp_path, most_bytes: float = GIGABYTE) -> StoreFolder:
    return StoreFolder(tmp_path / "cache", most_bytes)


def pixels_of(source, count: int) -> list[np.ndarray]:
    return [source.read(index) for index in range(count)]


def assert_pixels(source, paths) -> None:
    files = PhotoFiles(paths, FRAME)
    for index in range(len(paths)):
        pixels = source.read(index)
        assert pixels.dtype == np.uint8 and pixels.shape == (*SIZE, 3)
        np.testing.assert_array_equal(pixels, files.read(index))


def test_each_photograph_is_decoded_once_in_whatever_order(tmp_path, photos, decoded):
    store = PixelStore.open(folder(tmp_path), photos, FRAME)
    mixed = photos["train"][::-1]
    for _ in range(3):
        pixels_of(store.photos(mixed), len(mixed))
    assert sorted(decoded) == sorted(path.name for path in mixed)
    assert store.held() == len(mixed)
    source = store.photos(photos["train"])
    decoded.clear()
    pixels_of(source, 6)
    assert decoded == []
    assert_pixels(source, photos["train"])
    assert_pixels(store.photos(photos["valid"]), photos["valid"])
    store.close()


def test_another_process_later_decodes_nothing(tmp_path, photos, decoded):
    first = PixelStore.open(folder(tmp_path), photos, FRAME)
    pixels_of(first.photos(photos["train"]), 6)
    first.close()
    decoded.clear()
    second = PixelStore.open(folder(tmp_path), photos, FRAME)
    pixels_of(second.photos(photos["train"]), 6)
    assert decoded == [] and second.held() == 6


@pytest.mark.parametrize("change", ["content", "size", "fit", "order"])
def test_a_stale_store_is_never_used(tmp_path, photos, change):
    pixels_of(PixelStore.open(folder(tmp_path), photos, FRAME).photos(photos["train"]), 6)
    frame = FRAME
    if change == "content":
        Image.new("RGB", (20, 24), "red").save(photos["train"][2])
    elif change == "size":
        frame = Frame(12, 16)
    elif change == "fit":
        frame = Frame(*SIZE, "crop")
    else:
        photos["train"] = photos["train"][::-1]
    store = PixelStore.open(folder(tmp_path), photos, frame)
    assert store.held() == 0
    if change == "content":
        assert (store.photos(photos["train"]).read(2) == [255, 0, 0]).all()


def test_checksums_tell_photographs_apart_too(tmp_path, photos):
    everything = [path for paths in photos.values() for path in paths]
    sums = {path: path.name for path in everything}
    store = PixelStore.open(folder(tmp_path), photos, FRAME, sums)
    pixels_of(store.photos(photos["valid"]), 3)
    store.close()
    assert PixelStore.open(folder(tmp_path), photos, FRAME, sums).held() == 3
    sums[everything[0]] = "another"
    assert PixelStore.open(folder(tmp_path), photos, FRAME, sums).held() == 0


def test_a_photograph_that_goes_as_training_begins_is_named(tmp_path, photos):
    photos["valid"][0].unlink()
    with pytest.raises(UserError, match="cannot be found any more .* start the same command"):
        PixelStore.open(folder(tmp_path), photos, FRAME)


def test_what_does_not_fit_is_decoded_each_time(tmp_path, photos, decoded):
    row = SIZE[0] * SIZE[1] * 3 + 400
    cache = folder(tmp_path, 5 * row + 10)
    store = PixelStore.open(cache, photos, FRAME)
    assert "5 of 9" in cache.reason
    for _ in range(2):
        assert_pixels(store.photos(photos["valid"]), photos["valid"])
        assert_pixels(store.photos(photos["train"]), photos["train"])
    assert store.held() == 5
    decoded.clear()
    pixels_of(store.photos(photos["train"]), 6)
    assert len(decoded) == 4
    assert PixelStore.open(folder(tmp_path / "none", row - 1), photos, FRAME) is None


def test_a_full_disk_ends_the_keeping_not_the_reading(tmp_path, photos, monkeypatch, capsys):
    store = PixelStore.open(folder(tmp_path), photos, FRAME)

    def fail(*_):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(store.store, "write", fail)
    source = store.photos(photos["train"])
    assert_pixels(source, photos["train"])
    assert source.given_up and store.held() == 0
    assert capsys.readouterr().out.count("pixels cannot be stored (no space left)") == 1


def test_a_store_cut_short_while_in_use_costs_nothing_but_time(tmp_path, photos, capsys):
    store = PixelStore.open(folder(tmp_path), photos, FRAME)
    source = store.photos(photos["train"])
    pixels_of(source, 6)
    with open(store.store.path, "r+b") as file:
        file.truncate(1000)
    assert_pixels(source, photos["train"])
    assert "the store of pixels is damaged" in capsys.readouterr().out


def test_threads_may_share_it(tmp_path, photos):
    store = PixelStore.open(folder(tmp_path), photos, FRAME)
    source, files = store.photos(photos["train"]), PhotoFiles(photos["train"], FRAME)
    order = np.random.default_rng(0).integers(6, size=200)
    with ThreadPoolExecutor(8) as pool:
        for index, pixels in zip(order, pool.map(source.read, order), strict=True):
            np.testing.assert_array_equal(pixels, files.read(index))


def test_batches_are_the_same_with_and_without(tmp_path, photos):
    paths = photos["train"]
    store = PixelStore.open(folder(tmp_path), photos, FRAME)
    options = {"seed": 3, "augmentation": Augmentation()}
    plain = PhotoBatches(paths, np.arange(6) % 2, 2, FRAME, 4, **options)
    options["pixels"] = store.photos(paths)
    stored = PhotoBatches(paths, np.arange(6) % 2, 2, FRAME, 4, **options)
    for epoch in range(3):
        for step in range(2):
            batches = stored.batch(epoch, step), plain.batch(epoch, step)
            for ours, expected in zip(*batches, strict=True):
                np.testing.assert_array_equal(ours, expected)
    assert store.held() == 6


def test_the_drop_in_generator_takes_a_cache(tmp_path, photos, decoded):
    batches = []
    for cache in (None, folder(tmp_path)):
        iterator = FusedImageDataGenerator(rotation_range=30).flow_from_directory(
            tmp_path,
            SIZE,
            batch_size=4,
            seed=1,
            interpolation="bilinear",
            classes=["photos"],
            cache=cache,
        )
        batches.append([next(iterator)[0] for _ in range(6)])
    for plain, cached in zip(*batches, strict=True):
        np.testing.assert_array_equal(plain, cached)
    assert len(decoded) == 18 + 9


def test_the_drop_in_generator_refuses_a_cache_for_what_keras_reads(tmp_path, photos):
    with pytest.raises(ValueError, match="Received: interpolation='nearest'"):
        FusedImageDataGenerator().flow_from_directory(
            tmp_path, SIZE, classes=["photos"], cache=folder(tmp_path)
        )
