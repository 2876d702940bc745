"""Photographs a second: Keras's ImageDataGenerator beside ours, on one core or several.

    python benchmarks/loader_speed.py --data data/dogs

All loaders read the training images of a data set (made by img2keras.py), resize them bilinearly
and apply the recipe's augmentation; batches are thrown away. They take turns, epoch by epoch, so
that whatever else the machine does meets all of them; the table shows the median. The same table
tells how far pixels are from the original's with the same seed, decoding included, and a second
one where the time of the fastest goes. Linux can hold a process to one core; elsewhere all loaders
use one thread, and what NumPy or OpenCV do beside it counts for nothing.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from finegrain.command import run_command
from finegrain.datasets.manifest import open_data_set
from finegrain.errors import UserError
from finegrain.flags import BatchSize, Epochs, ImageSize, Threads
from finegrain.quiet import load_keras
from finegrain.whole_files import written_whole

ORIGINAL = "ImageDataGenerator"
TRAINING = "PhotoBatches, as in training"
AUGMENTATION = dict(rotation_range=45, shear_range=0.2, zoom_range=0.2, horizontal_flip=True)
# Enough for every store this measures.
CACHE_BYTES = 100e9


@dataclass
class Settings:
    """Measure loaders side by side."""

    # data set folder made by img2keras.py
    data: Path
    image_size: ImageSize = 299
    batch_size: BatchSize = 32
    # epochs of each loader, the first of which fills the caches
    epochs: Epochs = 4
    # CPU cores to use; the loaders get as many threads
    cores: Threads = 1
    # file for the seconds a photograph of each loader and epoch
    json: Path | None = None


def main(settings: Settings) -> None:
    if settings.epochs < 2:
        raise UserError(f"--epochs {settings.epochs} has no second epoch; give 2 or more")
    open_data_set(settings.data)
    if hasattr(os, "sched_setaffinity"):
        # Before Keras starts its threads, which inherit it.
        cores = sorted(os.sched_getaffinity(0))[-settings.cores :]
        os.sched_setaffinity(0, cores)
    load_keras()
    with tempfile.TemporaryDirectory() as cache:
        loaders = make_loaders(settings, Path(cache))
        seconds: dict[str, list[float]] = {name: [] for name in loaders}
        for epoch in range(settings.epochs):
            for name, batches in loaders.items():
                start = time.perf_counter()
                images = sum(len(batch) for batch in batches(epoch))
                seconds[name].append((time.perf_counter() - start) / images)
                rate = 1 / seconds[name][-1]
                print(f"epoch {epoch + 1}: {name}: {rate:.0f} a second", flush=True)
        if settings.json:
            with written_whole(settings.json) as file:
                file.write_text(json.dumps(seconds, indent=1), encoding="utf-8")
        print(f"\n{speed_table(seconds, pixel_differences(settings))}")
        print(profile_table(settings))


def make_loaders(settings: Settings, cache: Path) -> dict[str, Callable[[int], Iterator]]:
    """Name -> the batches of images of epoch 0, 1, ..."""
    from finegrain.images.drop_in import FusedImageDataGenerator, ImageDataGenerator
    from finegrain.stores.store_folder import StoreFolder

    def flow(generator, **options) -> Callable[[int], Iterator]:
        iterator = generator.flow_from_directory(
            settings.data / "train",
            (settings.image_size, settings.image_size),
            seed=1,
            batch_size=settings.batch_size,
            interpolation="bilinear",
            **options,
        )
        if settings.cores == 1 or isinstance(generator, FusedImageDataGenerator):
            return lambda epoch: (next(iterator)[0] for _ in range(len(iterator)))
        return lambda epoch: by_workers(iterator, settings.cores)

    photos = photo_batches(settings, cache / "training")

    def stored(epoch: int) -> Iterator:
        with ThreadPoolExecutor(settings.cores) as pool:
            batches = pool.map(lambda step: photos.batch(epoch, step), range(photos.steps()))
            yield from (images for images, _ in batches)

    def fused(dtype: str, folder: str | None) -> Callable[[int], Iterator]:
        # Each with a folder of its own: a store has one writer.
        store = StoreFolder(cache / folder, CACHE_BYTES) if folder else None
        generator = FusedImageDataGenerator(**AUGMENTATION, dtype=dtype)
        return flow(generator, workers=settings.cores, cache=store)

    return {
        ORIGINAL: flow(ImageDataGenerator(**AUGMENTATION)),
        "FusedImageDataGenerator": fused("float32", None),
        "the same with a cache": fused("float32", "float32"),
        "the same in uint8": fused("uint8", "uint8"),
        TRAINING: stored,
    }


def by_workers(iterator, workers: int) -> Iterator:
    """An epoch of Keras's iterator, its batches made by threads as `fit` has them."""
    with ThreadPoolExecutor(workers) as pool:
        yield from (batch for batch, _ in pool.map(iterator.__getitem__, range(len(iterator))))
    iterator.on_epoch_end()


def photo_batches(settings: Settings, cache: Path):
    """What the training scripts read, with a store of pixels."""
    from finegrain.frame import Frame
    from finegrain.images.augmentation import Augmentation
    from finegrain.images.batches import PhotoBatches
    from finegrain.images.pixels import PixelStore
    from finegrain.stores.store_folder import StoreFolder

    data = open_data_set(settings.data)
    paths, frame = data.paths("train"), Frame(settings.image_size, settings.image_size)
    store = PixelStore.open(StoreFolder(cache, CACHE_BYTES), {"train": paths}, frame)
    return PhotoBatches(
        paths,
        data.labels("train"),
        len(data.classes),
        frame,
        settings.batch_size,
        seed=1,
        augmentation=Augmentation(),
        pixels=store.photos(paths),
    )


def pixel_differences(settings: Settings) -> dict[str, tuple[float, float]]:
    """Loader -> mean and largest difference of a pixel from the original's, in two batches."""
    with tempfile.TemporaryDirectory() as cache:
        # Threads would share the random numbers of Keras's generator.
        loaders = make_loaders(replace(settings, cores=1), Path(cache))
        # It draws its random numbers elsewhere: nothing to compare with.
        del loaders[TRAINING]
        first = {name: list(islice(batches(0), 2)) for name, batches in loaders.items()}
    differences = {}
    for name, batches in first.items():
        off = np.concatenate(
            [
                np.abs(batch.astype(np.float32) - original).ravel()
                for batch, original in zip(batches, first[ORIGINAL], strict=True)
            ]
        )
        differences[name] = off.mean(), off.max()
    return differences


def speed_table(
    seconds: dict[str, list[float]], differences: dict[str, tuple[float, float]]
) -> str:
    """Photographs a second, as Markdown."""
    lines = [
        "| loader | first epoch | from the second on | ratio | mean difference | largest |",
        "|---|---|---|---|---|---|",
    ]
    base = statistics.median(seconds[ORIGINAL][1:])
    for name, times in seconds.items():
        later = statistics.median(times[1:])
        off = "| {:.2g} | {:.2g} |".format(*differences[name]) if name in differences else "|  |  |"
        lines.append(f"| {name} | {1 / times[0]:.0f} | {1 / later:.0f} | {base / later:.1f} {off}")
    return "\n".join(lines) + "\n"


def profile_table(settings: Settings) -> str:
    """Where a stored photograph's time goes in training, as Markdown."""
    from finegrain.decode import read_pixels

    with tempfile.TemporaryDirectory() as cache:
        photos = photo_batches(settings, Path(cache))
        pixels = photos.pixels.read(0)
        parts = {
            "decode and resize": lambda n: read_pixels(photos.paths[n], photos.frame),
            "decode, resize and store": photos.pixels.read,
            "read from the store": photos.pixels.read,
            "draw parameters": lambda n: photos.augmentation.draw(n),
            "draw parameters and warp": lambda n: photos.augmentation.apply(pixels, n),
            "copy into the batch": lambda n: np.stack([pixels]),
        }
        lines = ["| one photograph | ms |", "|---|---|"]
        count = min(100, len(photos.paths))
        lines += [f"| {name} | {median_ms(part, count):.3f} |" for name, part in parts.items()]
    return "\n".join(lines)


def median_ms(call: Callable[[int], object], count: int) -> float:
    """Median time of `call(0)`, `call(1)`, ..., milliseconds."""
    taken = []
    for number in range(count):
        start = time.perf_counter()
        call(number)
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


if __name__ == "__main__":
    run_command(main, Settings)
