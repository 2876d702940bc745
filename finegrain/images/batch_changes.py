"""Changes of a whole batch, images and labels together."""

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


def _mixed(rows: np.ndarray, partner: np.ndarray, share: np.float32) -> np.ndarray:
    mixed = share * rows + (1 - share) * rows[partner]
    return (np.rint(mixed) if rows.dtype == np.uint8 else mixed).astype(rows.dtype, copy=False)
