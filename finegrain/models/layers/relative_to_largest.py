"""Features of any size brought to a size whose squares can be summed."""

from typing import Any

import keras
from keras import ops

from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class RelativeToLargest(keras.layers.Layer):
    """Each image's feature map divided by its largest absolute value.

    It stands before a pooling whose result is brought to unit length, and which a factor an image
    therefore does not change. With it, squares neither overflow nor vanish, and an epsilon means
    the same for weak and for strong features. As the factor changes nothing, it counts as a
    constant in the backward pass.

    Args:
        floor: features whose largest value is below this are divided by this, above 0.

    Call arguments:
        features: (B, h, w, C).

    Returns:
        (B, h, w, C) float32, -1 to 1, under mixed precision too.
    """

    def __init__(self, floor: float = 1e-6, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if floor <= 0:
            raise ValueError(f"`floor` must be above 0. Received: floor={floor}")
        self.floor = floor

    def call(self, features: Tensor) -> Tensor:
        largest = ops.max(ops.abs(features), axis=(1, 2, 3), keepdims=True)
        return features / ops.stop_gradient(ops.maximum(largest, self.floor))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "floor": self.floor}
