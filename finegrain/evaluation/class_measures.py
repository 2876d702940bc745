"""How good are the answers to "which class?", and 80 % sure ones right in 80 of 100 cases?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from finegrain.evaluation.answers import Answers
from finegrain.evaluation.bootstrap import PERCENTILES, Statistic, counted

BINS = 15


def macro_f1(answers: Answers) -> tuple[float, Statistic]:
    """Mean F1 of the classes that an image is of or was taken for; of a draw, that occur in it."""
    value = f1_score(answers.labels, answers.predicted, average="macro", zero_division=0)
    present, both = np.unique([answers.labels, answers.predicted], return_inverse=True)
    count, (true, predicted) = len(present), both.reshape(2, -1)
    right = np.where(true == predicted, true, count)

    def statistic(draws: np.ndarray) -> np.ndarray:
        hits = counted(draws, right, count + 1)[:, :count]
        images = counted(draws, true, count) + counted(draws, predicted, count)
        scores = np.divide(2 * hits, images, out=np.zeros(images.shape), where=images > 0)
        return scores.sum(axis=1) / (images > 0).sum(axis=1)

    return value, statistic


def calibration_error(confidences: np.ndarray, correct: np.ndarray) -> tuple[float, Statistic]:
    """Mean distance of confidence and accuracy over 15 bins, weighted by their images.

    The expected calibration error of Guo et al. 2017, arXiv 1706.04599, section 2, of at least
    one answer. Few images make it too large: chance alone keeps a bin's accuracy from its
    confidence.
    """
    excess, bins = np.asarray(confidences, "float64") - correct, _bins(confidences)
    value = np.abs(np.bincount(bins, excess, BINS)).sum() / len(excess)
    return (
        value,
        lambda draws: np.abs(counted(draws, bins, BINS, excess)).sum(axis=1) / draws.shape[1],
    )


def reliability(confidences: np.ndarray, correct: np.ndarray) -> list[dict[str, Any]]:
    """The reliability diagram: each bin's edges, number of images, and means (None if empty)."""
    edges, bins = np.linspace(0, 1, BINS + 1), _bins(confidences)
    counts = np.bincount(bins, minlength=BINS)
    sums = [np.bincount(bins, np.asarray(of, "float64"), BINS) for of in (confidences, correct)]
    return [
        {
            "low": float(edges[place]),
            "high": float(edges[place + 1]),
            "count": int(counts[place]),
            "confidence": _share(sums[0][place], counts[place]),
            "accuracy": _share(sums[1][place], counts[place]),
        }
        for place in range(BINS)
    ]


def per_class(answers: Answers, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What became of the images of each class, and of those `predicted` to be of it.

    The interval of `accuracy` (recall) is the bootstrap's over the class's images, whose exact
    percentiles are those of a binomial distribution. None is a share of nothing.
    """
    # Takes a second to load, which every start of a training script would pay.
    from scipy.stats import binom

    images, named, hits = (
        np.bincount(of, minlength=len(classes))
        for of in (answers.labels, answers.predicted, answers.labels[answers.right])
    )
    tried = np.maximum(images, 1)
    low, high = (binom.ppf(p / 100, tried, hits / tried) for p in PERCENTILES)
    return {
        name: {
            "images": int(images[place]),
            "accuracy": _share(hits[place], images[place]),
            "low": _share(low[place], images[place]),
            "high": _share(high[place], images[place]),
            "predicted": int(named[place]),
            "precision": _share(hits[place], named[place]),
            "f1": _share(2 * hits[place], images[place] + named[place]),
        }
        for place, name in enumerate(classes)
    }


def _bins(confidences: np.ndarray) -> np.ndarray:
    """Bin of each confidence, (N,) 0 to 14: fifteen of equal width, each with its upper edge."""
    edges = np.linspace(0, 1, BINS + 1)
    return np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, BINS - 1)


def _share(part: float, whole: int) -> float | None:
    return float(part / whole) if whole else None
