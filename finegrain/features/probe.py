"""Whether embeddings are good enough, judged by what they are for: telling classes apart.

How far numbers are off says little of that: in INT8 the embeddings of MobileNetV2 differ from those
in float32 by a fifth of their length, and classify as well.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from finegrain.errors import UserError
from finegrain.inference.openvino_engine import AskedPrecision

# Photographs that are asked, and of how many classes: all of one class would be too easy.
CLASSES, OF_A_CLASS, LEAST = 20, 20, 4
# How much worse logistic regression and nearest neighbours may be than on float32. On 200 held-out
# photographs ten answers in which two embeddings differ are worth 0.016 by chance alone.
WORSE_ERROR, WORSE_NEAREST = 0.02, 0.03


class Score(NamedTuple):
    """How well embeddings tell classes apart.

    Attributes:
        error: top-1 error of logistic regression on the half that it was not fitted on.
        nearest: share of the photographs whose nearest neighbour is of their class.
    """

    error: float
    nearest: float

    def is_as_good_as(self, other: "Score") -> bool:
        """Whether it is worse by no more than the tolerances."""
        return (
            self.error <= other.error + WORSE_ERROR
            and self.nearest >= other.nearest - WORSE_NEAREST
        )

    def __str__(self) -> str:
        return f"error {self.error:.3f}, nearest neighbour right {self.nearest:.3f}"


@dataclass(frozen=True)
class Probe:
    """Photographs to judge embeddings by: (N, H, W, 3) uint8 and their classes (N,)."""

    images: np.ndarray
    labels: np.ndarray

    def score(self, embed: Callable[[np.ndarray], np.ndarray]) -> Score:
        """Judge (N, H, W, 3) -> (N, D) embeddings."""
        # scikit-learn takes a second to import.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        embeddings = embed(self.images).reshape(len(self.images), -1).astype(np.float64)
        lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
        directions = np.divide(
            embeddings, lengths, out=np.zeros_like(embeddings), where=lengths > 0
        )
        likeness = directions @ directions.T
        np.fill_diagonal(likeness, -np.inf)
        nearest = (self.labels[likeness.argmax(axis=1)] == self.labels).mean()
        scale = np.sqrt(embeddings.shape[1])
        fitted_on = np.arange(len(self.images)) % 2 == 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression = LogisticRegression(max_iter=200).fit(
                directions[fitted_on] * scale, self.labels[fitted_on]
            )
        right = regression.score(directions[~fitted_on] * scale, self.labels[~fitted_on])
        return Score(1 - float(right), float(nearest))


def draw_probe(labels: np.ndarray, read: Callable[[int], np.ndarray]) -> Probe | None:
    """A probe of some photographs as they are; None where classes are few or small.

    The same photographs each time, half of every class's at even places.

    Args:
        labels: (N,) classes, -1 where it is not known.
        read: number of a photograph -> (H, W, 3) uint8; a `UserError` where it cannot be read, of
            which there is no probe either.
    """
    rng = np.random.default_rng(0)
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    large = classes[counts >= LEAST]
    if len(large) < 2:
        return None
    rows: list[int] = []
    for label in rng.permutation(large)[:CLASSES]:
        members = rng.permutation(np.flatnonzero(labels == label))[:OF_A_CLASS]
        rows += members[: len(members) // 2 * 2].tolist()
    try:
        return Probe(np.stack([read(row) for row in rows]), labels[rows])
    except UserError:
        return None


@dataclass(frozen=True)
class Judged:
    """How embeddings are computed less precisely where they are as good for that.

    Attributes:
        precision: `auto` judges INT8 and bfloat16 by a probe where enough images wait; the others
            are taken without.
        probe: draws the photographs to judge by; None where there are too few.
        keep_in: folder where the judgement is kept for the next training.
    """

    precision: AskedPrecision
    probe: Callable[[], Probe | None]
    keep_in: Path | None
