"""The root that keeps the sign, with a finite slope at zero."""

from typing import Any

import keras
from keras import ops

from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class SignedSquareRoot(keras.layers.Layer):
    """sign(x) * sqrt(|x|), as bilinear features are normalised (arXiv 1504.07889, section 3.1).

    Computed as x / sqrt(|x| + epsilon): the root's slope at 0 is infinite, this one's is
    1 / sqrt(epsilon), and it is nowhere steeper. It is too small by a share of epsilon / 2|x|
    where |x| is large beside epsilon.

    Args:
        epsilon: above 0, in the unit of x.

    Call arguments:
        x: any shape.

    Returns:
        The same shape, float32 under mixed precision too.
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if epsilon <= 0:
            raise ValueError(f"`epsilon` must be above 0. Received: epsilon={epsilon}")
        self.epsilon = epsilon

    def call(self, x: Tensor) -> Tensor:
        return x * ops.rsqrt(ops.abs(x) + self.epsilon)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}
