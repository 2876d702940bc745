"""The score of the recipes."""

import numpy as np
from sklearn.metrics import zero_one_loss


def top1_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose most probable class is not their own.

    Args:
        probabilities: (N,C) scores, one row an image; the largest of a row is the answer.
        labels: (N,) class indices, 0 to C - 1.

    Returns:
        The top-1 error, 0 (all right) to 1 (all wrong).

    Raises:
        ValueError: no rows, shapes that do not fit, or a row that is not a number.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            "`probabilities` must be (N,C) and `labels` (N,), with N of at least 1. "
            f"Received: shapes {probabilities.shape} and {labels.shape}"
        )
    if np.isnan(probabilities).any():
        # argmax would quietly name the first NaN as the answer.
        raise ValueError("`probabilities` must be numbers. Received: rows that hold NaN")
    return float(zero_one_loss(labels, probabilities.argmax(axis=1)))
