"""Weights on the way from those a stage began with to those it ended with.

Fine-tuning forgets: what the pretrained weights knew of the very photographs, or of some classes,
may be worth more than what a small training set teaches. On the straight way from one to the other
lie models that keep some of both, and often err less than either (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models", arXiv 2109.01903, section 3). There the way begins at a zero-shot
classifier; here at the pretrained backbone and whatever its softmax began with, which with
`--head-start logistic` is the baseline.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from finegrain.models.heads.category import CATEGORY

# Of the way that are tried. The start itself is the baseline, at best.
SHARES = (0.15, 0.3, 0.5, 0.7, 0.85, 1.0)
# Of the logits, either way: smoothed labels and the way between change how large they are.
LARGEST_TEMPERATURE = 20.0


class Place(NamedTuple):
    """How far on the way, and the log loss of the validation images there."""

    share: float
    log_loss: float


def set_between(
    model: keras.Model, start: Sequence[np.ndarray], end: Sequence[np.ndarray], share: float
) -> None:
    """Give a model the weights that lie such a share of the way from the start to the end."""
    model.set_weights(
        [one + np.float32(share) * (other - one) for one, other in zip(start, end, strict=True)]
    )


def places(
    model: keras.Model,
    answering: keras.Model,
    batches: keras.utils.PyDataset,
    start: Sequence[np.ndarray],
    end: Sequence[np.ndarray],
) -> list[Place]:
    """All places that are tried, in their order; the model is left at the last of them, the end.

    Args:
        model: the training model.
        answering: it, or a part of it that shares its layers, which takes the batches.
        batches: of validation, inputs and targets as the objective gives them.
        start, end: weights of `model`.
    """
    found = []
    for share in SHARES:
        set_between(model, start, end, share)
        found.append(Place(share, calibrated_log_loss(*_logits(answering, batches))))
    return found


def calibrated_log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy of (N, C) logits with (N,) labels, at the temperature that suits best."""
    logits = logits.astype("float64")

    def log_loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(labels)), labels].mean())

    reach = np.log(LARGEST_TEMPERATURE)
    return float(minimize_scalar(log_loss, bounds=(-reach, reach), method="bounded").fun)


def _logits(
    answering: keras.Model, batches: keras.utils.PyDataset
) -> tuple[np.ndarray, np.ndarray]:
    logits, labels = [], []
    for number in range(len(batches)):
        inputs, targets = batches[number]
        answers = answering.predict_on_batch(inputs)
        logits.append(answers[CATEGORY] if isinstance(answers, dict) else answers)
        categories = targets[CATEGORY] if isinstance(targets, dict) else targets
        labels.append(np.argmax(categories, axis=1))
    return np.concatenate(logits), np.concatenate(labels)
