"""Each image's partner, looked up inside the batch."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class TakePartner(keras.layers.Layer):
    """Row `partner[i]` of the embeddings for every row i of the batch.

    This is what lets one pass through the backbone serve both sides of every pair.

    Call arguments:
        inputs: list of `embedding` (B, D) and `partner` (B,) integers in [0, B).

    Returns:
        (B, D), the partners' embeddings. They are float32 under mixed precision too: a rounded
        partner would differ from itself.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        embedding, partner = inputs
        return ops.take(embedding, ops.cast(partner, "int32"), axis=0)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return input_shape[0]
