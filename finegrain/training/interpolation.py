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

from finegrain.models.heads import CATEGORY

# Of the way that are tried. The start itself is the baseline, at best.
SHARES = (0.15, 0.3, 0.5, 0.7, 0.85, 1.0)
# Of the logits, either way: smoothed labels and the way between change how large they are.
LARGEST_TEMPERATURE = 20.0


class Place(NamedTuple):
    """How far on the way, and (N,) losses of the validation images there, cross-entropies."""

    share: float
    losses: np.ndarray

    @property
    def log_loss(self) -> float:
        """Mean of the losses."""
        return float(self.losses.mean())


def chosen_place(found: Sequence[Place]) -> Place:
    """The furthest place that is not worse than the best by more than a standard error.

    Few images let places differ by chance, and what was trained should not be given up for that:
    the one-standard-error rule of Breiman et al. 1984, "Classification and Regression Trees",
    section 3.4.3, of the differences image by image.

    Args:
        found: in the order of their shares.
    """
    best = min(found, key=lambda place: place.log_loss)

    def is_close(place: Place) -> bool:
        differences = place.losses - best.losses
        error = differences.std() / np.sqrt(max(1, len(differences) - 1))
        return bool(differences.mean() <= error)

    return next(place for place in reversed(found) if is_close(place))


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
        found.append(Place(share, calibrated_losses(*_logits(answering, batches))))
    return found


def calibrated_losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) cross-entropies of (N, C) logits with (N,) labels, at the temperature of least sum."""
    logits = logits.astype("float64")

    def losses(log_temperature: float) -> np.ndarray:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -scaled[np.arange(len(labels)), labels]

    reach = np.log(LARGEST_TEMPERATURE)
    fitted = minimize_scalar(
        lambda logarithm: losses(logarithm).mean(), bounds=(-reach, reach), method="bounded"
    )
    return losses(fitted.x)


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
