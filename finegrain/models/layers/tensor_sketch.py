"""The outer product squeezed to a chosen width, without ever being formed."""

from typing import Any

import keras
import numpy as np
from keras import ops

from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class TensorSketch(keras.layers.Layer):
    """Compact bilinear pooling of a feature map with itself.

    Gao, Beijbom, Zhang and Darrell 2016, "Compact Bilinear Pooling", arXiv 1511.06062,
    algorithm 2: a count sketch drops every channel into one of `width` buckets with a random
    sign; the circular convolution of two such sketches is a count sketch of the outer product.
    The inner product of two results is on average that of the two outer products, with a
    variance that falls as 1 / width.

    Args:
        width: numbers in the result; 8000 came close to the full product in the paper.
        seed: of buckets and signs. They are weights too, which do not learn, so a saved model
            keeps them whatever a later NumPy would draw.

    Call arguments:
        features: (B, h, w, C).

    Returns:
        (B, width) float32, the mean over places, under mixed precision too.
    """

    def __init__(self, width: int, seed: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if width < 1:
            raise ValueError(f"`width` must be at least 1. Received: width={width}")
        self.width, self.seed = width, seed

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        # The generator whose stream NumPy has promised never to change.
        draw = np.random.RandomState(self.seed)
        self.buckets, self.signs = [], []
        for number in (1, 2):
            buckets = draw.randint(0, self.width, channels)
            signs = 2 * draw.randint(0, 2, channels) - 1
            self.buckets.append(self._constant(f"buckets_{number}", buckets))
            self.signs.append(self._constant(f"signs_{number}", signs))

    def call(self, features: Tensor) -> Tensor:
        _, height, width, channels = ops.shape(features)
        places = ops.reshape(features, (-1, height * width, channels))
        (real_1, imag_1), (real_2, imag_2) = (ops.rfft(self._sketch(places, i)) for i in (0, 1))
        # Convolution is a product of spectra, and their mean needs but one way back an image.
        real = ops.mean(real_1 * real_2 - imag_1 * imag_2, axis=1)
        imag = ops.mean(real_1 * imag_2 + imag_1 * real_2, axis=1)
        return ops.irfft((real, imag), fft_length=self.width)

    def _sketch(self, places: Tensor, number: int) -> Tensor:
        """Count sketches (B, n, width) of the features (B, n, C) of every place."""
        # A product of matrices: adding into buckets is slow on a GPU, and its order is not fixed.
        hashing = ops.one_hot(self.buckets[number], self.width, dtype="float32")
        signs = ops.cast(self.signs[number], "float32")
        return ops.matmul(places, hashing * ops.expand_dims(signs, -1))

    def _constant(self, name: str, values: np.ndarray) -> keras.Variable:
        return self.add_weight(
            shape=values.shape,
            dtype="int32",
            trainable=False,
            name=name,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(values, dtype=dtype),
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape[0], self.width

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "seed": self.seed}
