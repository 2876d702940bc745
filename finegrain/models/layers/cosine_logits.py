"""Logits that are angles: how near a vector points to that of each class."""

from typing import Any

import keras
from keras import ops

from finegrain.models.layers.float32_layer import Float32Layer
from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class CosineLogits(Float32Layer):
    """The product with one weight vector a class, each brought to length one, times a scale.

    Vectors (B, D), of length one for cosines -> (B, units) float32, under mixed precision too.
    """

    SETTINGS = ("units", "scale")

    def __init__(self, units: int, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.scale = units, scale

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="glorot_uniform", name="kernel"
        )

    def directions(self) -> Tensor:
        """(D, C) weight vectors of length one, times the scale."""
        lengths = ops.sqrt(ops.sum(ops.square(self.kernel), axis=0, keepdims=True) + 1e-12)
        return self.scale * self.kernel / lengths

    def call(self, x: Tensor) -> Tensor:
        return ops.matmul(x, self.directions())

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)
