"""Is an answer of 80 % right in 80 of 100 cases? Reliability diagram and calibration error."""

from typing import Any

import numpy as np

from finegrain.evaluation.bootstrap import Statistic, counted

BINS = 15


def confidence_bins(confidences: np.ndarray) -> np.ndarray:
    """Bin of each confidence, (N,) 0 to 14: fifteen of equal width, each with its upper edge."""
    edges = np.linspace(0, 1, BINS + 1)
    return np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, BINS - 1)


def expected_calibration_error(confidences: np.ndarray, correct: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over the bins, weighted by their images.

    Guo et al. 2017, arXiv 1706.04599, section 2; 15 bins. Few images make it too large: chance
    alone keeps a bin's accuracy from its confidence.

    Args:
        confidences: (N,) probability of the predicted class, 0 to 1, N at least 1.
        correct: (N,) whether the prediction is right.
    """
    excess = np.asarray(confidences, "float64") - correct
    sums = np.bincount(confidence_bins(confidences), excess, BINS)
    return float(np.abs(sums).sum() / len(excess))


def calibration_statistic(confidences: np.ndarray, correct: np.ndarray) -> Statistic:
    """The expected calibration error for bootstrap draws."""
    excess, bins = np.asarray(confidences, "float64") - correct, confidence_bins(confidences)
    return lambda draws: np.abs(counted(draws, bins, BINS, excess)).sum(axis=1) / draws.shape[1]


def reliability(confidences: np.ndarray, correct: np.ndarray) -> list[dict[str, Any]]:
    """The reliability diagram, a row a bin.

    Returns:
        `low` and `high` (edges), `count` (images), and their mean `confidence` and `accuracy`,
        None for an empty bin.
    """
    edges, bins = np.linspace(0, 1, BINS + 1), confidence_bins(confidences)
    counts = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, np.asarray(some, "float64"), BINS) for some in (confidences, correct))
    confidence, accuracy = (
        [float(total / count) if count else None for total, count in zip(some, counts, strict=True)]
        for some in sums
    )
    return [
        {
            "low": float(edges[place]),
            "high": float(edges[place + 1]),
            "count": int(counts[place]),
            "confidence": confidence[place],
            "accuracy": accuracy[place],
        }
        for place in range(BINS)
    ]
