"""Whether embeddings are good enough, judged by what they are for: telling classes apart.

How far numbers are off says little of that: in INT8 the embeddings of MobileNetV2 differ from those
in float32 by a fifth of their length, and classify as well.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from finegrain.errors import UserError
from finegrain.images.batches import PhotoBatches

# Photographs that are asked, and of how many classes: all of one class would be too easy.
CLASSES, OF_A_CLASS, LEAST = 20, 20, 8
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


def draw_probe(photos: PhotoBatches) -> Probe | None:
    """A probe of some training photographs as they are; None where classes are few or small.

    The same photographs each time, half of every class's at even places.
    """
    rng = np.random.default_rng(0)
    counts = np.bincount(photos.labels, minlength=photos.classes)
    large = np.flatnonzero(counts >= LEAST)
    if len(large) < 2:
        return None
    images, labels = [], []
    for label in rng.permutation(large)[:CLASSES]:
        members = rng.permutation(np.flatnonzero(photos.labels == label))
        for index in members[: min(OF_A_CLASS, len(members)) // 2 * 2]:
            try:
                images.append(photos.plain(int(index)))
            except UserError:
                return None
            labels.append(label)
    return Probe(np.stack(images), np.array(labels))
