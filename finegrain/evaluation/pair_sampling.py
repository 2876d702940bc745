"""Pairs of images to ask "the same class?" of: half of one class, half of two."""

from dataclasses import dataclass

import numpy as np

PAIRS = 20_000


@dataclass(frozen=True)
class Pairs:
    """Pairs of different images.

    Attributes:
        one: (P,) row numbers.
        other: (P,) row numbers.
        same: (P,) bool, whether both are of one class.
    """

    one: np.ndarray
    other: np.ndarray
    same: np.ndarray


def sample_pairs(labels: np.ndarray, most: int = PAIRS, seed: int = 0) -> Pairs:
    """Draw as many positive as negative pairs, no pair twice.

    Args:
        labels: (N,) class indices.
        most: pairs at most; all positive and as many negative ones where there are fewer.
        seed: of the draw.

    Returns:
        `Pairs`; without any where all images are of one class, or each is of its own.
    """
    labels = np.asarray(labels, np.int64)
    rng = np.random.default_rng(seed)
    order = np.argsort(labels, kind="stable")
    in_order = labels[order]
    # Classes stand side by side: an image's partners of its own class end where others begin.
    ends = np.searchsorted(in_order, in_order, side="right")
    begins = {True: np.arange(1, len(labels) + 1), False: ends}
    partners = {True: ends - begins[True], False: len(labels) - ends}
    count = min(most // 2, *(int(partners[same].sum()) for same in (True, False)))
    one, other = (
        np.concatenate(some)
        for some in zip(
            *(_draw(partners[same], begins[same], count, rng) for same in (True, False)),
            strict=True,
        )
    )
    return Pairs(order[one], order[other], np.repeat([True, False], count))


def _draw(
    partners: np.ndarray, begins: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs of places: place p has `partners[p]` partners, from place `begins[p]` on."""
    ends = np.cumsum(partners)
    if not count:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    numbers = np.sort(rng.choice(int(ends[-1]), count, replace=False))
    one = np.searchsorted(ends, numbers, side="right")
    return one, begins[one] + numbers - (ends - partners)[one]
