"""Re-identification: CMC and mAP under the protocol of Market-1501.

Zheng et al. 2015, "Scalable Person Re-identification: A Benchmark". For each query image the
gallery is ranked by distance. Images of the same identity by the same camera are taken out, and
so is junk (identity -1); those of the same identity by another camera are right, all others,
distractors (identity 0) included, are wrong. CMC rank-k is the share of queries with a right image
among the first k; mAP the mean of the queries' average precisions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

RANKS = (1, 5, 10)
JUNK = -1


@dataclass(frozen=True, eq=False)
class Sightings:
    """Who was seen, and by which camera: (N,) integers.

    Identity -1 is junk, 0 nobody that anybody looks for.
    """

    identities: np.ndarray
    cameras: np.ndarray

    def __post_init__(self) -> None:
        if np.ndim(self.identities) != 1 or np.shape(self.identities) != np.shape(self.cameras):
            raise ValueError(
                "`identities` and `cameras` must be (N,). Received: shapes "
                f"{np.shape(self.identities)} and {np.shape(self.cameras)}"
            )


@dataclass(frozen=True, eq=False)
class Places:
    """What became of the Q queries, by their numbers, that have a right image in the gallery.

    Attributes:
        first: (Q,) place of the first right image, from 1 on.
        average_precision: (Q,) mean over the right images of the precision at their places.
        trapezoid: (Q,) the same as the original evaluation code has it, which takes the mean of
            the precisions at and just before each place; a little lower.
        without_match: queries without a right image, which do not count.
    """

    queries: np.ndarray
    first: np.ndarray
    average_precision: np.ndarray
    trapezoid: np.ndarray
    without_match: int

    def of_queries(self, ranks: Sequence[int] = RANKS) -> dict[str, np.ndarray]:
        """`rank-1`, ..., `mAP` and `mAP-trapezoid` -> (Q,), whose mean is the measure."""
        return {
            **{f"rank-{k}": self.first <= k for k in ranks},
            "mAP": self.average_precision,
            "mAP-trapezoid": self.trapezoid,
        }

    def measures(self, ranks: Sequence[int] = RANKS) -> dict[str, float]:
        """The measures by name, 0 to 1."""
        return {name: float(values.mean()) for name, values in self.of_queries(ranks).items()}


def places_in_gallery(
    distances: Iterable[np.ndarray], query: Sightings, gallery: Sightings
) -> Places:
    """Rank the gallery for each query image.

    At equal distances wrong images stand before right ones, so that nothing is won by embeddings
    that are all alike, and the order of the files does not matter. The distances come in blocks
    (B,G) of rows, together (Q,G), in the order of the query.

    Raises:
        ValueError: shapes that do not fit, NaN, or no query with a right image in the gallery.
    """
    found, row = {}, 0
    for block in distances:
        _check(block, row, query, gallery)
        for line in block:
            identity, camera = query.identities[row], query.cameras[row]
            same = gallery.identities == identity
            right = same & (gallery.cameras != camera)
            # Junk is nobody, and a query of nobody has no right image.
            if identity > 0 and right.any():
                wrong = ~same & (gallery.identities != JUNK)
                found[row] = _measured(line[right], line[wrong])
            row += 1
    if row != len(query.identities):
        raise ValueError(f"`distances` must have {len(query.identities)} rows. Received: {row}")
    if not found:
        raise ValueError("no query has an image of its identity by another camera in the gallery")
    first, precision, trapezoid = np.array(list(found.values())).T
    return Places(
        np.array(list(found)), first.astype("int64"), precision, trapezoid, row - len(found)
    )


def _check(block: np.ndarray, row: int, query: Sightings, gallery: Sightings) -> None:
    if block.ndim != 2 or block.shape[1] != len(gallery.identities):
        raise ValueError(
            f"`distances` must be (B,{len(gallery.identities)}). Received: {block.shape}"
        )
    if row + len(block) > len(query.identities):
        raise ValueError(f"`distances` must have {len(query.identities)} rows. Received: more")
    if np.isnan(block).any():
        raise ValueError("`distances` must be numbers. Received: NaN")


def _measured(right: np.ndarray, wrong: np.ndarray) -> tuple[float, float, float]:
    """Place of the first right image, average precision, and that by trapezoids."""
    number = np.arange(1, len(right) + 1)
    place = number + np.searchsorted(np.sort(wrong), np.sort(right), side="right")
    precision = number / place
    # Just before the first place of all, the original code takes the precision for 1.
    before = np.where(place > 1, (number - 1) / np.maximum(place - 1, 1), 1.0)
    return place[0], precision.mean(), ((precision + before) / 2).mean()
