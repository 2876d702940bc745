"""Embeddings of several backbones, merged into one classifier."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np

from finegrain.models.heads import CATEGORY
from finegrain.tensor import Tensor

Normalise = Literal["none", "standardise", "l2"]
MERGED, DROPOUT, KEPT = "merged", "dropout", "kept"
DRAWS = 2**16


@dataclass(frozen=True)
class Branch:
    """The embeddings of one backbone, D = `width` numbers each, and what is done to them first.

    Attributes:
        normalise: `none`; `standardise`, to mean 0 and standard deviation 1 over the training
            rows; or `l2`, to length 1.
        mean, variance: (D,) of the training rows, for `standardise`.
    """

    width: int
    normalise: Normalise = "none"
    mean: np.ndarray | None = None
    variance: np.ndarray | None = None


def merged_model(branches: Mapping[str, Branch], classes: int, dropout: float) -> keras.Model:
    """Dict of embeddings (B, D) by backbone -> (B, 1) or (B, C) probabilities.

    The recipe of dogs against cats: all concatenated, Dropout, one Dense. The classifier of two
    classes is a sigmoid, whose number is the probability of the second one, that of more is a
    softmax.
    """
    inputs = {name: keras.Input((branch.width,), name=name) for name, branch in branches.items()}
    normalised = [_normalised(name, branches[name], inputs[name]) for name in branches]
    several = len(normalised) > 1
    merged = keras.layers.Concatenate(name=MERGED)(normalised) if several else normalised[0]
    dropped = keras.layers.Dropout(dropout, name=DROPOUT)(merged)
    units, activation = (1, "sigmoid") if classes == 2 else (classes, "softmax")
    # The loss has one minimum, so a random start would only be unlearnt.
    dense = keras.layers.Dense(
        units, activation=activation, kernel_initializer="zeros", name=CATEGORY
    )
    return keras.Model(inputs, dense(dropped), name="merged_embeddings")


def fed_with_masks(model: keras.Model) -> keras.Model:
    """The merged model for training, sharing its layers, its dropout drawn by whoever feeds it.

    It takes, beside the embeddings, `kept` (B, D of all together) uint8 of `dropout_mask`: drawing
    it takes most of a step if TensorFlow does it, and little if NumPy does.
    """
    dropout = model.get_layer(DROPOUT)
    kept = keras.Input(dropout.input.shape[1:], dtype="uint8", name=KEPT)
    scale = 1 / (1 - round(dropout.rate * DRAWS) / DRAWS)
    thinned = dropout.input * (keras.ops.cast(kept, "float32") * scale)
    return keras.Model({**model.input, KEPT: kept}, model.get_layer(CATEGORY)(thinned))


def dropout_mask(rng: np.random.Generator, rows: int, width: int, rate: float) -> np.ndarray:
    """(rows, width) uint8, each 0 with probability `rate` (to 1/65,536), else 1."""
    draws = rng.integers(0, DRAWS, (rows, width), dtype=np.uint16)
    return (draws >= round(rate * DRAWS)).view(np.uint8)


def _normalised(name: str, branch: Branch, embedding: Tensor) -> Tensor:
    if branch.normalise == "l2":
        return keras.layers.UnitNormalization(name=f"{name}_l2")(embedding)
    if branch.normalise == "standardise":
        if branch.mean is None or branch.variance is None:
            raise ValueError(f"the branch {name!r} has no mean and variance to standardise by")
        # A number that never changes in training has nothing to say, whatever it is later.
        variance = np.where(branch.variance > 0, branch.variance, 1.0)
        layer = keras.layers.Normalization(
            mean=branch.mean.astype("float32"),
            variance=variance.astype("float32"),
            name=f"{name}_standardised",
        )
        return layer(embedding)
    return embedding
