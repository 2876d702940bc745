"""Log loss, and the clip that caps the price of a sure answer that is wrong."""

import numpy as np

# What is left of a probability of 0 where nothing is clipped: float32 knows no more.
SMALLEST = 1e-7
CLIPS = (
    0.0, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03,
    0.05, 0.075, 0.1,
)  # fmt: skip


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log of the probability of the true class; 0 is best.

    Unlike scikit-learn's it makes no second matrix of the labels.

    Args:
        probabilities: (N,C), rows that sum to 1; those below 1e-7 count as that.
        labels: (N,) class indices.

    Raises:
        ValueError: no rows, or shapes that do not fit.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            "`probabilities` must be (N,C) and `labels` (N,), with N of at least 1. "
            f"Received: shapes {probabilities.shape} and {labels.shape}"
        )
    true = probabilities[np.arange(len(labels)), labels].astype("float64")
    return float(-np.log(np.clip(true, SMALLEST, 1.0)).mean())


def clipped(probabilities: np.ndarray, clip: float) -> np.ndarray:
    """Probabilities without sure answers.

    Args:
        probabilities: (N,C), rows that sum to 1.
        clip: of two classes each lies in [clip, 1 - clip]; of more, none is below clip / (C - 1)
            before the row is brought back to the sum 1.

    Returns:
        (N,C) of the same dtype, rows that sum to 1.
    """
    classes = probabilities.shape[1]
    if classes == 2:
        return np.clip(probabilities, clip, 1 - clip)
    raised = np.maximum(probabilities, clip / (classes - 1))
    return raised / raised.sum(axis=1, keepdims=True)


def calibrated_clip(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The clip with the smallest log loss on validation images.

    None below half an image's share is tried: of N images all right nobody can tell that fewer
    than one in N will be wrong.

    Args:
        probabilities: (N,C) for the validation images.
        labels: (N,) their classes.

    Returns:
        The clip and its log loss.
    """
    least = 0.5 / len(labels)
    candidates = sorted({min(max(clip, least), 0.5) for clip in CLIPS})
    losses = [log_loss(clipped(probabilities, clip), labels) for clip in candidates]
    best = int(np.argmin(losses))
    return candidates[best], losses[best]
