"""What attentions and bilinear poolings compute on a feature map (B, h, w, C), in float32."""

from typing import Any

import keras
import numpy as np
from keras import ops

from finegrain.models.layers.float32_layer import Float32Layer
from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class ChannelStatistics(Float32Layer):
    """Mean and maximum over the channels (B, h, w, 2), as CBAM's spatial attention sees a map.

    Woo, Park, Lee and Kweon 2018, arXiv 1807.06521, section 3, equation 3.
    """

    def call(self, features: Tensor) -> Tensor:
        mean = ops.mean(features, axis=-1, keepdims=True)
        return ops.concatenate([mean, ops.max(features, axis=-1, keepdims=True)], axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], 2)


@keras.saving.register_keras_serializable(package="finegrain")
class GeneralizedMean(Float32Layer):
    """The p-th root of the mean p-th power of each channel, GeM pooling: (B, C).

    Radenovic, Tolias and Chum 2018, "Fine-tuning CNN Image Retrieval with No Human Annotation",
    arXiv 1711.02512, section 3.2, equation 3. With p = 1 it is the mean; the larger p, the nearer
    to the maximum. One p for all channels is learnt, from 3 on, and counts as 1 below.

    It is computed by logarithms, so no power over- or underflows. Features below the floor,
    negative ones too, count as the floor, which must be above 0.
    """

    SETTINGS = ("floor",)

    def __init__(self, floor: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.floor = _above_zero("floor", floor)

    def build(self, input_shape: Shape) -> None:
        three = keras.initializers.Constant(3.0)
        self.power = self.add_weight(shape=(), initializer=three, name="power")

    def call(self, features: Tensor) -> Tensor:
        _, height, width, channels = ops.shape(features)
        places = ops.reshape(features, (-1, height * width, channels))
        power = ops.maximum(self.power, 1.0)
        logs = power * ops.log(ops.maximum(places, self.floor))
        count = ops.cast(height * width, "float32")
        return ops.exp((ops.logsumexp(logs, axis=1) - ops.log(count)) / power)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape[0], input_shape[-1]


@keras.saving.register_keras_serializable(package="finegrain")
class RelativeToLargest(Float32Layer):
    """Each image's feature map divided by its largest absolute value: (B, h, w, C), -1 to 1.

    It stands before a pooling whose result is brought to unit length, and which a factor an image
    therefore does not change. With it, squares neither overflow nor vanish, and an epsilon means
    the same for weak and for strong features. As the factor changes nothing, it counts as a
    constant in the backward pass. It is not below the floor, which must be above 0.
    """

    SETTINGS = ("floor",)

    def __init__(self, floor: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.floor = _above_zero("floor", floor)

    def call(self, features: Tensor) -> Tensor:
        largest = ops.max(ops.abs(features), axis=(1, 2, 3), keepdims=True)
        return features / ops.stop_gradient(ops.maximum(largest, self.floor))


@keras.saving.register_keras_serializable(package="finegrain")
class OuterProduct(Float32Layer):
    """Bilinear pooling of a feature map with itself: (B, C * C), the matrix row by row.

    Lin, RoyChowdhury and Maji 2015, "Bilinear CNN Models for Fine-grained Visual Recognition",
    arXiv 1504.07889, equation 2, as a mean over places instead of a sum, which unit length undoes.
    """

    def call(self, features: Tensor) -> Tensor:
        _, height, width, channels = ops.shape(features)
        places = ops.reshape(features, (-1, height * width, channels))
        product = ops.matmul(ops.transpose(places, (0, 2, 1)), places) / (height * width)
        return ops.reshape(product, (-1, channels * channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *_, channels = input_shape
        return batch, None if channels is None else channels**2


@keras.saving.register_keras_serializable(package="finegrain")
class TensorSketch(Float32Layer):
    """Compact bilinear pooling of a feature map with itself: (B, width), the mean over places.

    Gao, Beijbom, Zhang and Darrell 2016, "Compact Bilinear Pooling", arXiv 1511.06062,
    algorithm 2: a count sketch drops every channel into one of `width` buckets with a random
    sign; the circular convolution of two such sketches is a count sketch of the outer product.
    The inner product of two results is on average that of the two outer products, with a
    variance that falls as 1 / width.

    Args:
        width: numbers in the result; 8000 came close to the full product in the paper.
        seed: of buckets and signs. They are weights too, which do not learn, so a saved model
            keeps them whatever a later NumPy would draw.
    """

    SETTINGS = ("width", "seed")

    def __init__(self, width: int, seed: int = 0, **kwargs: Any) -> None:
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


@keras.saving.register_keras_serializable(package="finegrain")
class SignedSquareRoot(Float32Layer):
    """sign(x) * sqrt(|x|), as bilinear features are normalised (arXiv 1504.07889, section 3.1).

    Computed as x / sqrt(|x| + epsilon): the root's slope at 0 is infinite, this one's is
    1 / sqrt(epsilon), and it is nowhere steeper. It is too small by a share of epsilon / 2|x|
    where |x| is large beside epsilon, which must be above 0; x may have any shape.
    """

    SETTINGS = ("epsilon",)

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = _above_zero("epsilon", epsilon)

    def call(self, x: Tensor) -> Tensor:
        return x * ops.rsqrt(ops.abs(x) + self.epsilon)


@keras.saving.register_keras_serializable(package="finegrain")
class UnitLength(Float32Layer):
    """x / sqrt(|x|^2 + epsilon), along the last axis, epsilon above 0.

    Vectors whose squared length is far above epsilon come to unit length.
    `keras.layers.UnitNormalization` has gradients that are no numbers at zero.
    """

    SETTINGS = ("epsilon",)

    def __init__(self, epsilon: float = 1e-12, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = _above_zero("epsilon", epsilon)

    def call(self, x: Tensor) -> Tensor:
        return x * ops.rsqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + self.epsilon)


def _above_zero(name: str, value: float) -> float:
    if value <= 0:
        raise ValueError(f"`{name}` must be above 0. Received: {name}={value}")
    return value
