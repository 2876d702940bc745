"""What the layers of this package share."""

from typing import Any

import keras

from finegrain.tensor import Shape


class Float32Layer(keras.layers.Layer):
    """A layer that computes in float32 under mixed precision too, its output shaped as its input.

    bfloat16 rounds a pixel to 8 bits before its mean is taken away, squares of large embeddings
    overflow float16, and a rounded partner would differ from itself.
    """

    # The attributes that a saved layer is made again from.
    SETTINGS: tuple[str, ...] = ()

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in self.SETTINGS}}
