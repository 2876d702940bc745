"""Vectors brought to length one, zero left at zero."""

from typing import Any

import keras
from keras import ops

from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class UnitLength(keras.layers.Layer):
    """x / sqrt(|x|^2 + epsilon), along the last axis.

    `keras.layers.UnitNormalization` has gradients that are no numbers at zero.

    Args:
        epsilon: above 0; vectors whose squared length is far above it come to unit length.

    Call arguments:
        x: (B, D).

    Returns:
        (B, D) float32 of length at most 1, under mixed precision too.
    """

    def __init__(self, epsilon: float = 1e-12, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if epsilon <= 0:
            raise ValueError(f"`epsilon` must be above 0. Received: epsilon={epsilon}")
        self.epsilon = epsilon

    def call(self, x: Tensor) -> Tensor:
        return x * ops.rsqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + self.epsilon)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
