"""What the head for pairs computes on embeddings."""

from collections.abc import Sequence

import keras
from keras import ops

from finegrain.models.layers.float32_layer import Float32Layer
from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class TakePartner(Float32Layer):
    """`[embedding (B, D), partner (B,) integers in [0, B)]` -> the partners' embeddings (B, D).

    This is what lets one pass through the backbone serve both sides of every pair.
    """

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        embedding, partner = inputs
        return ops.take(embedding, ops.cast(partner, "int32"), axis=0)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return input_shape[0]


@keras.saving.register_keras_serializable(package="finegrain")
class SquaredDifference(Float32Layer):
    """Element-wise square of the difference of two embeddings, each (B, D).

    The "square layer" of the verification loss: Zheng, Zheng and Yang 2016,
    "A Discriminatively Learned CNN Embedding for Person Re-identification", arXiv 1611.05666,
    section 3.3.
    """

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        embedding, partner = inputs
        return ops.square(embedding - partner)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return input_shape[0]
