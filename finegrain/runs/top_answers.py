"""The most probable classes of an image, and the place of the true one among all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TOP = 5
NO_CLASS = -1


@dataclass(frozen=True)
class TopAnswers:
    """All that is kept of the C probabilities of N images.

    Attributes:
        classes: (N, K) class indices by falling probability, K = min(5, C); of classes that are
            equally probable the one of the smaller index comes first, as `argmax` has it. -1
            where the answer is no number.
        probabilities: (N, K) float32, theirs; NaN where the answer is no number.
        true_probability: (N,) float32, of the true class.
        true_rank: (N,) int64, place of the true class among all, 1 for right, 0 where the answer
            is no number.
    """

    classes: np.ndarray
    probabilities: np.ndarray
    true_probability: np.ndarray
    true_rank: np.ndarray


def top_answers(probabilities: np.ndarray, labels: np.ndarray) -> TopAnswers:
    """Sort out the answers for a batch of images.

    Args:
        probabilities: (B, C) float32; a row that is not all finite is no answer.
        labels: (B,) class indices.
    """
    probabilities, labels = np.array(probabilities, "float32"), np.asarray(labels, np.int64)
    rows, count = np.arange(len(labels)), min(TOP, probabilities.shape[1])
    true = probabilities[rows, labels]
    before = probabilities > true[:, None]
    before |= (probabilities == true[:, None]) & (
        np.arange(probabilities.shape[1]) < labels[:, None]
    )
    rank = 1 + before.sum(axis=1)
    bad = ~np.isfinite(probabilities).all(axis=1)
    classes = np.empty((len(labels), count), np.int64)
    best = np.empty((len(labels), count), "float32")
    for place in range(count):
        # Five looks at a row are faster than sorting ten thousand classes.
        classes[:, place] = probabilities.argmax(axis=1)
        best[:, place] = probabilities[rows, classes[:, place]]
        probabilities[rows, classes[:, place]] = -np.inf
    classes[bad], best[bad], true[bad], rank[bad] = NO_CLASS, np.nan, np.nan, 0
    return TopAnswers(classes, best, true, rank.astype(np.int64))


def joined_answers(parts: Sequence[TopAnswers]) -> TopAnswers:
    """The answers for several batches, one after the other; at least one."""
    names = ("classes", "probabilities", "true_probability", "true_rank")
    return TopAnswers(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
