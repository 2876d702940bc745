"""Temperature scaling: how sure a model says it is, brought in line with how often it is right.

Guo et al. 2017, arXiv 1706.04599, section 4.2: softmax(z / T) with one T for all classes, fitted
on validation images. Which class is the most probable one does not change.
"""

import keras
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from finegrain.errors import UserError
from finegrain.models.heads.category import CATEGORY
from finegrain.runs.predictions import TopAnswers, joined_answers, top_answers

SMALLEST, LARGEST = 0.05, 20.0
# Logits held at a time for fitting: 400 MB.
MOST_LOGITS = 100_000_000
BLOCK = 512


def head_weights(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (D, C) and bias (C,) of the softmax."""
    kernel, bias = model.get_layer(CATEGORY).get_weights()
    return kernel, bias


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Make the model answer softmax(z / T): T goes into the softmax's kernel and bias.

    A T of 1 / T before takes it back, but for the last digit of a float32.
    """
    head = model.get_layer(CATEGORY)
    head.set_weights([weights / np.float32(temperature) for weights in head.get_weights()])


def fit_temperature(
    embeddings: np.ndarray, kernel: np.ndarray, bias: np.ndarray, labels: np.ndarray
) -> float:
    """The T with the smallest log loss; it takes seconds and is the same each time.

    Of very many images times classes a part is taken, drawn by chance.

    Args:
        embeddings: (N, D) that the softmax sees, N at least 1, finite.
        kernel: (D, C) of the softmax.
        bias: (C,).
        labels: (N,) class indices.

    Raises:
        UserError: no T is best: the model would have to be ever surer, or ever less sure.
    """
    most = max(1, MOST_LOGITS // len(bias))
    if len(labels) > most:
        rows = np.sort(np.random.default_rng(0).choice(len(labels), most, replace=False))
        embeddings, labels = embeddings[rows], labels[rows]
    logits = embeddings @ kernel + bias

    def loss(log_temperature: float) -> float:
        return log_loss_of_logits(logits, labels, np.exp(log_temperature))

    found = minimize_scalar(
        loss,
        bounds=(np.log(SMALLEST), np.log(LARGEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    temperature = float(np.exp(found.x))
    if not SMALLEST * 1.01 < temperature < LARGEST / 1.01:
        every = (logits.argmax(axis=1) == labels).all()
        reason = (
            "all validation images are answered rightly"
            if every
            else "its answers on the validation images say nothing about how sure it may be"
        )
        raise UserError(
            f"no temperature fits this model: {reason}; calibrate on more, or harder, validation "
            "images"
        )
    return temperature


def log_loss_of_logits(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Mean of -log softmax(z / T) at the true class, without rounding small probabilities away.

    Args:
        logits: (N, C).
        labels: (N,) class indices.
        temperature: T.
    """
    total = 0.0
    for start in range(0, len(labels), BLOCK):
        some = logits[start : start + BLOCK].astype("float64") / temperature
        true = some[np.arange(len(some)), labels[start : start + BLOCK]]
        total += float((logsumexp(some, axis=1) - true).sum())
    return total / len(labels)


def answers_from_embeddings(
    embeddings: np.ndarray, kernel: np.ndarray, bias: np.ndarray, labels: np.ndarray
) -> TopAnswers:
    """What a softmax of these weights answers; the backbone need not look again."""
    return joined_answers(
        [
            top_answers(
                softmax(embeddings[start : start + BLOCK] @ kernel + bias, axis=1),
                labels[start : start + BLOCK],
            )
            for start in range(0, max(1, len(labels)), BLOCK)
        ]
    )
