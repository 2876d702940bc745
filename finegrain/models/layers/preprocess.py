"""The pixel scaling a pretrained backbone expects, as the first layer of the model."""

from typing import Any

import keras
from keras import ops

from finegrain.models.layers.float32_layer import Float32Layer
from finegrain.tensor import Tensor

# Channel statistics of ImageNet's training photographs, RGB, as Keras applications use them.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
CAFFE_MEAN = (123.68, 116.779, 103.939)

MODES = ("tf", "torch", "caffe", "unit", "none")


@keras.saving.register_keras_serializable(package="finegrain")
class Preprocess(Float32Layer):
    """Scale images (B, H, W, 3), RGB 0 to 255, to what a backbone was pretrained on, in float32.

    Args:
        mode: `"tf"` scales to [-1, 1]; `"torch"` to zero mean and unit variance a channel;
            `"caffe"` swaps to BGR and subtracts ImageNet's mean; `"none"` leaves the pixels to
            a backbone that scales them itself (EfficientNet, MobileNetV3, ConvNeXt). Those names
            are of `keras.applications.imagenet_utils.preprocess_input`. `"unit"` scales to [0, 1],
            which no backbone was pretrained on, as some recipes were first coded.
    """

    SETTINGS = ("mode",)

    def __init__(self, mode: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mode not in MODES:
            raise ValueError(f"`mode` must be one of {MODES}. Received: mode={mode!r}")
        self.mode = mode

    def call(self, image: Tensor) -> Tensor:
        image = ops.cast(image, self.compute_dtype)
        if self.mode == "tf":
            return image / 127.5 - 1.0
        if self.mode == "unit":
            return image / 255.0
        if self.mode == "torch":
            return (image - self._constant(IMAGENET_MEAN)) / self._constant(IMAGENET_STD)
        if self.mode == "caffe":
            return ops.flip(image - self._constant(CAFFE_MEAN), axis=-1)
        return image

    def _constant(self, channels: tuple[float, float, float]) -> Tensor:
        return ops.convert_to_tensor(channels, dtype=self.compute_dtype)
