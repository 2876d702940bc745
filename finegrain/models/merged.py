"""Embeddings of several backbones, merged into one classifier."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np

from finegrain.models.heads.category import CATEGORY

Normalise = Literal["none", "standardise", "l2"]
MERGED = "merged"


@dataclass(frozen=True)
class Branch:
    """The embeddings of one backbone, and what is done to them first.

    Attributes:
        width: D, numbers an embedding.
        normalise: `none`; `standardise`, to mean 0 and standard deviation 1 over the training
            rows; or `l2`, to length 1.
        mean: (D,) of the training rows, for `standardise`.
        variance: (D,) the same.
    """

    width: int
    normalise: Normalise = "none"
    mean: np.ndarray | None = None
    variance: np.ndarray | None = None


def merged_model(branches: Mapping[str, Branch], classes: int, dropout: float) -> keras.Model:
    """One input a backbone, concatenated, Dropout, one Dense.

    The recipe of dogs against cats; the classifier of two classes is a sigmoid, whose number is
    the probability of the second one, that of more is a softmax.

    Args:
        branches: backbone -> its branch.
        classes: number of classes C.
        dropout: share of the merged embedding dropped in training.

    Returns:
        Model: dict of embeddings (B, D) by backbone -> (B, 1) or (B, C) probabilities.
    """
    inputs = {name: keras.Input((branch.width,), name=name) for name, branch in branches.items()}
    normalised = [_normalised(name, branches[name], inputs[name]) for name in branches]
    merged = normalised[0]
    if len(normalised) > 1:
        merged = keras.layers.Concatenate(name=MERGED)(normalised)
    dropped = keras.layers.Dropout(dropout, name="dropout")(merged)
    units, activation = (1, "sigmoid") if classes == 2 else (classes, "softmax")
    # The loss has one minimum, so a random start would only be unlearnt.
    dense = keras.layers.Dense(
        units, activation=activation, kernel_initializer="zeros", name=CATEGORY
    )
    outputs = dense(dropped)
    return keras.Model(inputs, outputs, name="merged_embeddings")


def _normalised(name: str, branch: Branch, embedding):
    if branch.normalise == "l2":
        return keras.layers.UnitNormalization(name=f"{name}_l2")(embedding)
    if branch.normalise == "standardise":
        # A number that never changes in training has nothing to say, whatever it is later.
        variance = np.where(branch.variance > 0, branch.variance, 1.0)
        layer = keras.layers.Normalization(
            mean=branch.mean.astype("float32"), variance=variance.astype("float32"),
            name=f"{name}_standardised",
        )  # fmt: skip
        return layer(embedding)
    return embedding
