"""What all channels together say of each place."""

from typing import Any

import keras
from keras import ops

from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class ChannelStatistics(keras.layers.Layer):
    """Mean and maximum over the channels, as CBAM's spatial attention sees a feature map.

    Woo, Park, Lee and Kweon 2018, arXiv 1807.06521, section 3, equation 3.

    Call arguments:
        features: (B, h, w, C).

    Returns:
        (B, h, w, 2) float32, mean and maximum, under mixed precision too.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, features: Tensor) -> Tensor:
        mean = ops.mean(features, axis=-1, keepdims=True)
        return ops.concatenate([mean, ops.max(features, axis=-1, keepdims=True)], axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], 2)
