"""The scores of the recipes' leaderboards: top-1 error, log loss, and the clip that caps it."""

import numpy as np
from sklearn.metrics import zero_one_loss

# What is left of a probability of 0 where nothing is clipped: float32 knows no more.
SMALLEST = 1e-7
CLIPS = (
    0.0, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03,
    0.05, 0.075, 0.1,
)  # fmt: skip


def top1_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of images, scores (N,C), whose largest score is not that of their class index (N,).

    ValueError for no rows, shapes that do not fit, or a row that is not a number.
    """
    probabilities, labels = _checked(probabilities, labels)
    if np.isnan(probabilities).any():
        # argmax would quietly name the first NaN as the answer.
        raise ValueError("`probabilities` must be numbers. Received: rows that hold NaN")
    return float(zero_one_loss(labels, probabilities.argmax(axis=1)))


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log of the probability of the true class; 0 is best.

    Unlike scikit-learn's it makes no second matrix of the labels. Probabilities (N,C) below 1e-7
    count as that; labels (N,) are class indices. ValueError for no rows, or shapes that do not fit.
    """
    probabilities, labels = _checked(probabilities, labels)
    return float(log_losses(probabilities[np.arange(len(labels)), labels]).mean())


def log_losses(true_probabilities: np.ndarray) -> np.ndarray:
    """-log of each image's probability of its true class, float64; below 1e-7 as that."""
    return -np.log(np.clip(true_probabilities.astype("float64"), SMALLEST, 1.0))


def clipped(probabilities: np.ndarray, clip: float) -> np.ndarray:
    """Probabilities (N,C) without sure answers; rows still sum to 1.

    Of two classes each lies in [clip, 1 - clip]; of more, none is below clip / (C - 1) before the
    row is brought back to the sum 1.
    """
    classes = probabilities.shape[1]
    if classes == 2:
        return np.clip(probabilities, clip, 1 - clip)
    raised = np.maximum(probabilities, clip / (classes - 1))
    return raised / raised.sum(axis=1, keepdims=True)


def calibrated_clip(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The clip with the smallest log loss on validation images, and that loss.

    None below half an image's share is tried: of N images all right nobody can tell that fewer
    than one in N will be wrong.
    """
    least = 0.5 / len(labels)
    candidates = sorted({min(max(clip, least), 0.5) for clip in CLIPS})
    losses = [log_loss(clipped(probabilities, clip), labels) for clip in candidates]
    best = int(np.argmin(losses))
    return candidates[best], losses[best]


def _checked(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            "`probabilities` must be (N,C) and `labels` (N,), with N of at least 1. "
            f"Received: shapes {probabilities.shape} and {labels.shape}"
        )
    return probabilities, labels
