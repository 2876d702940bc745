"""What to look at in a data set, told from answers out of fold: labels, and classes."""

from typing import NamedTuple

import numpy as np

from finegrain.evaluation.label_errors import doubtful_rows


class Doubt(NamedTuple):
    """An image, by number, whose label `given` may be `likely`, class indices."""

    image: int
    given: int
    likely: int


class Weak(NamedTuple):
    """A class, its number of images, and the share of them that is answered wrongly."""

    label: int
    images: int
    error: float


def doubtful_labels(probabilities: np.ndarray, labels: np.ndarray) -> list[Doubt]:
    """The images whose label is doubtful, the most doubtful first; see `doubtful_rows`.

    Args:
        probabilities: (N, C), out of fold.
        labels: (N,) class indices.
    """
    rows, likely = np.arange(len(labels)), probabilities.argmax(axis=1)
    sure, own = probabilities[rows, likely], probabilities[rows, labels]
    found = doubtful_rows(labels, likely, sure, own, probabilities.shape[1])
    return [Doubt(int(row), int(labels[row]), int(likely[row])) for row in found]


def weak_classes(probabilities: np.ndarray, labels: np.ndarray, most: int = 10) -> list[Weak]:
    """The classes of which most is answered wrongly, the worst first, those without errors left."""
    wrong = probabilities.argmax(axis=1) != labels
    found = [
        Weak(int(label), int((labels == label).sum()), float(wrong[labels == label].mean()))
        for label in np.unique(labels)
    ]
    return sorted((each for each in found if each.error), key=lambda each: -each.error)[:most]
