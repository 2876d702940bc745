"""Labels that may be wrong, told from answers to photographs that the model has not learnt.

Confident learning, Northcutt et al. 2021, arXiv 1911.00068, section 3.1.
"""

import numpy as np


def doubtful_rows(
    labels: np.ndarray,
    predicted: np.ndarray,
    probability: np.ndarray,
    true_probability: np.ndarray,
    classes: int,
) -> np.ndarray:
    """Rows of photographs that are surer of another class than its own photographs are.

    The threshold of a class is the mean probability that its photographs give it, and nothing is
    counted into a class without photographs. First come those whose label's probability is
    furthest below the answer's.

    Args:
        labels, predicted: (N,) class indices, the one a photograph has and the one it is given.
        probability, true_probability: (N,) of the class given, and of its own.
        classes: how many there are.
    """
    images = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, true_probability, classes)
    threshold = np.where(images > 0, sums / np.maximum(images, 1), np.inf)
    rows = np.flatnonzero(
        (labels != predicted)
        & (probability >= threshold[predicted])
        & (true_probability < threshold[labels])
    )
    margin = probability[rows] - true_probability[rows]
    return rows[np.argsort(-margin, kind="stable")]
