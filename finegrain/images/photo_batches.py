"""Labelled photographs as batches that depend on nothing but seed, epoch and step."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from finegrain.images.augment import Augmentation, SeededTransform
from finegrain.images.batch_order import balanced_batches, shuffled_batches
from finegrain.images.photo_files import PhotoFiles, PixelSource

# Keeps the chance behind views apart from that behind an epoch's augmentation.
VIEW = 7_919


class PhotoBatches:
    """Random access to the batches of any epoch.

    Args:
        paths: N image files.
        labels: (N,) their classes, 0 to C - 1.
        classes: number of classes C.
        image_size: (height, width) in pixels.
        batch_size: images a batch; an epoch's last batch may be shorter.
        seed: of order and augmentation.
        augmentation: random changes, or None.
        shuffle: new order every epoch; without it the order of `paths`, the same every epoch.
        images_per_class: K of class-balanced batches, 0 for plain ones.
        pixels: where the photographs' pixels come from, in the order of `paths`; None decodes
            them from their files each time.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: np.ndarray,
        classes: int,
        image_size: tuple[int, int],
        batch_size: int,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        shuffle: bool = True,
        images_per_class: int = 0,
        pixels: PixelSource | None = None,
    ):
        self.paths = list(paths)
        self.labels = np.asarray(labels)
        self.classes = classes
        self.image_size = image_size
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.images_per_class = images_per_class
        self.augmentation = augmentation
        self.pixels = pixels or PhotoFiles(self.paths, image_size)
        self.transform = SeededTransform(augmentation.generator()) if augmentation else None
        # The order of an epoch is asked for once a batch, by several threads.
        self._order = lru_cache(maxsize=4)(self._make_order)

    def steps(self) -> int:
        """Batches an epoch."""
        return len(self._order(0))

    def batch(self, epoch: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Read one batch.

        Args:
            epoch: 0, 1, ...
            step: 0 to `steps() - 1`.

        Returns:
            Images (B, H, W, 3) uint8, RGB 0 to 255, and one-hot labels (B, C) float32.

        Raises:
            UserError: an image can no longer be read.
        """
        chosen = self.chosen(epoch, step)
        seeds = np.random.default_rng([self.seed, epoch, step]).integers(2**32, size=len(chosen))
        images = np.stack(
            [self._read(index, int(seed)) for index, seed in zip(chosen, seeds, strict=True)]
        )
        return images, self.targets(chosen)

    def chosen(self, epoch: int, step: int) -> np.ndarray:
        """(B,) indices of the images of a batch."""
        return self._order(epoch)[step]

    def targets(self, chosen: np.ndarray) -> np.ndarray:
        """(B, C) float32 one-hot labels of images given by index."""
        return np.eye(self.classes, dtype=np.float32)[self.labels[chosen]]

    def views(self, index: int, numbers: Sequence[int]) -> np.ndarray:
        """Some of an image's views, the same in every epoch: its augmentations 0, 1, ...

        Without augmentation every view is the plain image. It is read once for all of them.

        Args:
            index: of the image.
            numbers: of K views.

        Returns:
            (K, H, W, 3) uint8, RGB 0 to 255.

        Raises:
            UserError: the image can no longer be read.
        """
        pixels = self.pixels.read(index)
        if self.transform is None:
            return np.repeat(pixels[None], len(numbers), axis=0)
        rngs = [np.random.default_rng([self.seed, VIEW, index, number]) for number in numbers]
        return np.stack([self.transform(pixels, int(rng.integers(2**32))) for rng in rngs])

    def _make_order(self, epoch: int) -> list[np.ndarray]:
        count = len(self.paths)
        if not self.shuffle:
            return [
                np.arange(start, min(start + self.batch_size, count))
                for start in range(0, count, self.batch_size)
            ]
        rng = np.random.default_rng([self.seed, epoch])
        if self.images_per_class:
            return balanced_batches(self.labels, self.batch_size, self.images_per_class, rng)
        return shuffled_batches(count, self.batch_size, rng)

    def _read(self, index: int, seed: int) -> np.ndarray:
        pixels = self.pixels.read(index)
        return pixels if self.transform is None else self.transform(pixels, seed)
