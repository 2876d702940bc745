"""Batches of labelled photographs, by epoch and step, and a stream of any kind of batches."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from finegrain.frame import Frame
from finegrain.images.augmentation import Augmentation
from finegrain.images.batch_changes import BatchChange
from finegrain.images.pixels import PhotoFiles, PixelSource
from finegrain.images.samplers import Sampler, shuffled
from finegrain.read_ahead import read_ahead

# Keep the chance behind views and batch changes apart from that behind an epoch's augmentation.
VIEW, CHANGE = 7_919, 104_729
# Batches read ahead beyond the one each worker is at: hides an uneven disk, costs little memory.
BATCHES_AHEAD = 1


class Batches(Protocol):
    """Random access to the batches of any epoch, which depend on nothing but epoch and step."""

    def steps(self) -> int:
        """Batches an epoch, as many in every one."""

    def batch(self, epoch: int, step: int) -> tuple[Any, ...]:
        """Inputs of a batch, and (B, C) float32 targets: shares of the classes, 1 in all a row."""


@dataclass(eq=False)
class PhotoBatches:
    """Batches of labelled photographs; keeps `Batches`.

    Attributes:
        labels: (N,) the classes of the N files, 0 to C - 1.
        frame: how photographs become pictures of one size.
        batch_size: images a batch, at most.
        seed: of order, augmentation and changes.
        augmentation: random changes of each image, or None.
        plain_views: of the `views` of an image, which are the same in every epoch, the first is
            the image as it is, the second its mirror image where the augmentation mirrors.
        sampler: which images make which batch.
        changes: of whole batches, one after the other.
        pixels: where the photographs' pixels come from, in the order of `paths`; None decodes
            them from their files each time.
        soft: (N, C) float32 shares of the classes, to be learnt in place of `labels`.
    """

    paths: Sequence[Path]
    labels: np.ndarray
    classes: int
    frame: Frame
    batch_size: int
    seed: int = 0
    augmentation: Augmentation | None = None
    plain_views: bool = False
    sampler: Sampler = shuffled
    changes: Sequence[BatchChange] = ()
    pixels: PixelSource | None = None
    soft: np.ndarray | None = None

    def __post_init__(self) -> None:
        self._source = self.pixels or PhotoFiles(self.paths, self.frame)
        # The order of an epoch is asked for once a batch, by several threads.
        self._order = lru_cache(maxsize=4)(self._make_order)

    def _make_order(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng([self.seed, epoch])
        return self.sampler(self.labels, self.batch_size, rng)

    def steps(self) -> int:
        """Batches an epoch."""
        return len(self._order(0))

    def chosen(self, epoch: int, step: int) -> np.ndarray:
        """(B,) indices of the images of a batch."""
        return self._order(epoch)[step]

    def targets(self, chosen: np.ndarray) -> np.ndarray:
        """(B, C) float32 one-hot labels, or soft ones, of images given by index."""
        if self.soft is not None:
            return self.soft[chosen]
        targets = np.zeros((len(chosen), self.classes), np.float32)
        targets[np.arange(len(chosen)), self.labels[chosen]] = 1
        return targets

    def batch(self, epoch: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Images (B, H, W, 3) uint8, RGB 0 to 255, and targets (B, C) float32, or `UserError`."""
        chosen = self.chosen(epoch, step)
        seeds = np.random.default_rng([self.seed, epoch, step]).integers(2**32, size=len(chosen))
        each = zip(chosen, seeds, strict=True)
        images = np.stack([self._augmented(self._source.read(i), seed) for i, seed in each])
        targets = self.targets(chosen)
        rng = np.random.default_rng([self.seed, CHANGE, epoch, step])
        for change in self.changes:
            images, targets = change(images, targets, rng)
        return images, targets

    def views(self, index: int, numbers: Sequence[int]) -> np.ndarray:
        """Some of an image's views, the same in every epoch: its augmentations 0, 1, ...

        They are (K, H, W, 3) uint8, RGB 0 to 255, without augmentation the plain image each. It
        is read once for all of them; a `UserError` says that it can no longer be.
        """
        pixels = self._source.read(index)
        return np.stack([self._view(pixels, index, number) for number in numbers])

    def _view(self, pixels: np.ndarray, index: int, number: int) -> np.ndarray:
        if self.augmentation is None or (self.plain_views and number == 0):
            return pixels
        if self.plain_views and number == 1 and self.augmentation.horizontal_flip:
            return pixels[:, ::-1]
        rng = np.random.default_rng([self.seed, VIEW, index, number])
        return self._augmented(pixels, rng.integers(2**32))

    def _augmented(self, pixels: np.ndarray, seed: np.integer) -> np.ndarray:
        return self.augmentation.apply(pixels, int(seed)) if self.augmentation else pixels


class BatchStream:
    """Iterator over the batches of one epoch after the other, without end, read ahead in threads.

    Batches come in their order, whatever the number of workers, and a stream that starts at
    `first_batch` gives what one from the start would have given from there on. `error` is what
    the last `next()` raised, since frameworks that pull batches in threads of their own wrap
    errors beyond recognition.
    """

    def __init__(self, batches: Batches, first_batch: int = 0, workers: int = 2):
        self.error: Exception | None = None
        steps = batches.steps()
        self._coming = read_ahead(
            lambda number: batches.batch(*divmod(number, steps)),
            count(first_batch),
            workers,
            workers + BATCHES_AHEAD,
        )
        # A framework's thread may still ask for a batch while the training's closes the stream.
        self._lock = threading.Lock()

    def __iter__(self) -> "BatchStream":
        return self

    def __next__(self) -> tuple[Any, ...]:
        try:
            with self._lock:
                return next(self._coming)
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise

    def close(self) -> None:
        """Stop reading; the iterator ends."""
        with self._lock:
            self._coming.close()
