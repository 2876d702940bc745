"""Losses of all pairs of a batch at once: a function a loss, and the table of them."""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
from keras import ops

from finegrain.tensor import Tensor

# Of directions, whose squared distances go from 0 to 4.
CONTRASTIVE_MARGIN = 1.0
TEMPERATURE = 0.1
CIRCLE_MARGIN, CIRCLE_SCALE = 0.25, 64.0
# Stands for no image in a maximum: far beyond all others, and its exponential is zero.
NOWHERE = -1e9
# Keeps the slopes of roots finite.
EPSILON = 1e-6

# Cosines (B, B), and where they are of the same class and of another, (B, B) bool, nobody paired
# with itself -> the loss of each image (B,), finite where it has no pairs of a kind.
PairFunction: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


def contrastive(cosines: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Mean d^2 of the positive pairs, and mean max(0, margin - d)^2 of the negative ones.

    Hadsell, Chopra and LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping",
    CVPR, equation 4, without its halves.
    """
    short = ops.square(ops.relu(CONTRASTIVE_MARGIN - _distances(cosines)))
    return _mean(2 - 2 * cosines, positive) + _mean(short, negative)


def supervised_contrastive(cosines: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """A softmax over all other images of the batch, in which each positive one is right.

    Khosla et al. 2020, "Supervised Contrastive Learning", arXiv 2004.11362, L_out of equation 2.
    """
    logits = cosines / TEMPERATURE
    others = ops.logical_or(positive, negative)
    return _mean(_log_sum(logits, others)[:, None] - logits, positive)


def circle(cosines: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Pulls and pushes each cosine by as much as it is off: a circle in place of a straight margin.

    Sun et al. 2020, "Circle Loss: A Unified Perspective of Pair Similarity Optimization", arXiv
    2002.10857, equation 6, divided by its scale, lest a weight mean 64 times what it does for the
    other losses.
    """
    pull = ops.stop_gradient(ops.relu(1 + CIRCLE_MARGIN - cosines))
    push = ops.stop_gradient(ops.relu(cosines + CIRCLE_MARGIN))
    near = _log_sum(-CIRCLE_SCALE * pull * (cosines - 1 + CIRCLE_MARGIN), positive)
    far = _log_sum(CIRCLE_SCALE * push * (cosines - CIRCLE_MARGIN), negative)
    return ops.softplus(near + far) / CIRCLE_SCALE


def triplet(cosines: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Softplus of the farthest positive's distance less the nearest negative's: batch-hard.

    Hermans, Beyer and Leibe 2017, "In Defense of the Triplet Loss for Person Re-Identification",
    arXiv 1703.07737, equation 5 with the soft margin of section 2.
    """
    distances = _distances(cosines)
    farthest = ops.max(ops.where(positive, distances, NOWHERE), axis=1)
    nearest = ops.min(ops.where(negative, distances, -NOWHERE), axis=1)
    return ops.softplus(farthest - nearest)


PAIR_LOSSES: dict[str, PairFunction] = {
    "contrastive": contrastive,
    "supervised-contrastive": supervised_contrastive,
    "circle": circle,
    "triplet": triplet,
}


@keras.saving.register_keras_serializable(package="finegrain")
class PairLoss(keras.losses.Loss):
    """A loss of the table on the directions of embeddings, all pairs of the batch at once.

    An image with no other of its class in the batch counts as zero, so a batch without a positive
    pair teaches nothing.

    Args:
        kind: name of a row of `PAIR_LOSSES`.

    Call arguments:
        y_true: (B, C) one-hot.
        y_pred: (B, D) embeddings of any length.
    """

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        lengths = ops.sum(ops.square(y_pred), axis=-1, keepdims=True)
        directions = y_pred * ops.rsqrt(lengths + EPSILON)
        cosines = ops.matmul(directions, ops.transpose(directions))
        same = ops.matmul(y_true, ops.transpose(y_true)) > 0.5
        itself = ops.eye(ops.shape(y_true)[0], dtype="bool")
        positive = ops.logical_and(same, ops.logical_not(itself))
        losses = PAIR_LOSSES[self.kind](cosines, positive, ops.logical_not(same))
        return ops.where(ops.any(positive, axis=1), losses, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}


def _distances(cosines: Tensor) -> Tensor:
    """Between directions; equal ones, from which no way leads apart, have a slope of zero."""
    return ops.sqrt(ops.maximum(2 - 2 * cosines, EPSILON))


def _mean(values: Tensor, of: Tensor) -> Tensor:
    """(B,) means over the pairs of a kind, 0 where there are none."""
    count = ops.sum(ops.cast(of, values.dtype), axis=1)
    return ops.sum(ops.where(of, values, 0.0), axis=1) / ops.maximum(count, 1.0)


def _log_sum(logits: Tensor, of: Tensor) -> Tensor:
    """(B,) logarithms of the sums of exponentials over the pairs of a kind."""
    return ops.logsumexp(ops.where(of, logits, NOWHERE), axis=1)
