"""Changes of a whole batch, images and labels together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class BatchChange(Protocol):
    """One way of changing a batch."""

    def __call__(
        self, images: np.ndarray, targets: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """New images and targets of the same dtypes; the given ones are left as they are.

        Images are (B, H, W, 3) uint8 or float32, RGB 0 to 255; targets (B, C) float32, shares of
        the classes that sum to 1 a row. The generator is the batch's own.
        """


@dataclass(frozen=True)
class Mixup:
    """Each image laid over another of its batch, and their labels in the same shares.

    Zhang, Cisse, Dauphin and Lopez-Paz 2018, "mixup: Beyond Empirical Risk Minimization",
    arXiv 1710.09412, section 2; one share a batch, as in the code there.

    Attributes:
        alpha: above 0, of the distribution Beta(alpha, alpha) that the share comes from: near 0
            one image shows almost alone, at 1 every share is as likely.
    """

    alpha: float = 0.2

    def __call__(
        self, images: np.ndarray, targets: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        share = np.float32(rng.beta(self.alpha, self.alpha))
        partner = rng.permutation(len(images))
        return _mixed(images, partner, share), _mixed(targets, partner, share)


@dataclass(frozen=True)
class CutMix:
    """A rectangle of each image covered by the same of another, labels in shares of the area.

    Yun et al. 2019, arXiv 1905.04899, section 3.1; one rectangle a batch, as in the code there.
    What of it lies outside the image is cut off, and what the labels share is the area that shows.

    Attributes:
        alpha: above 0, of the distribution Beta(alpha, alpha) that the share of the area outside
            the rectangle comes from; 1 in the paper.
    """

    alpha: float = 1.0

    def __call__(
        self, images: np.ndarray, targets: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        height, width = images.shape[1:3]
        side = np.sqrt(1 - rng.beta(self.alpha, self.alpha))
        rows, columns = (_around(rng.random(), side, size) for size in (height, width))
        partner = rng.permutation(len(images))
        mixed = images.copy()
        mixed[:, rows, columns] = images[partner, rows, columns]
        covered = (rows.stop - rows.start) * (columns.stop - columns.start)
        share = np.float32(1 - covered / (height * width))
        return mixed, _mixed(targets, partner, share)


def _around(middle: float, side: float, size: int) -> slice:
    """The pixels, of so many, at most half a side away from the middle, both shares of 0 to 1."""
    ends = np.rint(np.clip([middle - side / 2, middle + side / 2], 0, 1) * size)
    return slice(*map(int, ends))


@dataclass(frozen=True)
class OneOf:
    """Each batch goes through one of several changes, every one of them as likely."""

    changes: Sequence[BatchChange]

    def __call__(
        self, images: np.ndarray, targets: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.changes[int(rng.integers(len(self.changes)))](images, targets, rng)


def _mixed(rows: np.ndarray, partner: np.ndarray, share: np.float32) -> np.ndarray:
    mixed = share * rows + (1 - share) * rows[partner]
    return (np.rint(mixed) if rows.dtype == np.uint8 else mixed).astype(rows.dtype, copy=False)
