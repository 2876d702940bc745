"""Every feature times every other, averaged over the places of the map."""

from typing import Any

import keras
from keras import ops

from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class OuterProduct(keras.layers.Layer):
    """Bilinear pooling of a feature map with itself.

    Lin, RoyChowdhury and Maji 2015, "Bilinear CNN Models for Fine-grained Visual Recognition",
    arXiv 1504.07889, equation 2, as a mean over places instead of a sum, which unit length undoes.

    Call arguments:
        features: (B, h, w, C).

    Returns:
        (B, C * C) float32, the symmetric C x C matrix row by row, under mixed precision too.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, features: Tensor) -> Tensor:
        _, height, width, channels = ops.shape(features)
        places = ops.reshape(features, (-1, height * width, channels))
        product = ops.matmul(ops.transpose(places, (0, 2, 1)), places) / (height * width)
        return ops.reshape(product, (-1, channels * channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *_, channels = input_shape
        return batch, None if channels is None else channels**2
