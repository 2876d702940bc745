"""How far two embeddings are apart, number by number."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class SquaredDifference(keras.layers.Layer):
    """Element-wise square of the difference of two embeddings.

    The "square layer" of the verification loss: Zheng, Zheng and Yang 2016,
    "A Discriminatively Learned CNN Embedding for Person Re-identification", arXiv 1611.05666,
    section 3.3.

    Call arguments:
        inputs: list of two tensors of shape (B, D).

    Returns:
        (B, D), every entry at least 0. It is float32 under mixed precision too: squares of
        large embeddings overflow float16.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        one, other = inputs
        return ops.square(one - other)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return input_shape[0]
