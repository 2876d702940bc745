"""Networks that keras.applications lacks, built and called like its own."""

from pathlib import Path

import keras
from keras import layers

DEFAULT_WIDTH = 0.25
XCEPTION_SMALL_WEIGHTS = "finegrain/models/weights/xception_small.weights.h5"


def XceptionSmall(  # noqa: N802 - named like its neighbours in keras.applications
    width: float = DEFAULT_WIDTH,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
    weights: str | Path | None = None,
    name: str = "xception_small",
) -> keras.Model:
    """Xception (Chollet 2017, arXiv 1610.02357) without its classifier, `width` times as wide.

    At the default width it is small enough for its weights to ship with the project. It turns
    (B, H, W, 3) in [-1, 1] into features (B, h, w, C) of 1/32 of the size, C = 2048 at width 1 and
    512 at width 0.25. The 14 blocks, the order of the layers and the layer names are those of
    `keras.applications.Xception`, so that layer 105 and "block12_sepconv1_act" name the same
    places. The four projections beside blocks 2, 3, 4 and 13, which have no name there, are
    called "block2_residual", "block2_residual_bn" and so on.

    Args:
        width: channels relative to Xception's, above 0, rounded to a multiple of 8, at least 8.
        input_shape: (height, width, 3); sides of at least 71 pixels, None for any.
        weights: a `.weights.h5` file of a network as wide, or None.
    """
    if width <= 0:
        raise ValueError(f"width must be positive. Received: width={width}")

    def channels(full: int) -> int:
        return full if width == 1 else max(8, round(full * width / 8) * 8)

    inputs = x = layers.Input(shape=input_shape)
    for name_in_block, full, stride in (("block1_conv1", 32, 2), ("block1_conv2", 64, 1)):
        x = layers.Conv2D(channels(full), 3, stride, use_bias=False, name=name_in_block)(x)
        x = layers.BatchNormalization(name=f"{name_in_block}_bn")(x)
        x = layers.Activation("relu", name=f"{name_in_block}_act")(x)

    x = _shrinking_block(x, "block2", channels(128), channels(128), first_act=False)
    x = _shrinking_block(x, "block3", channels(256), channels(256))
    x = _shrinking_block(x, "block4", channels(728), channels(728))
    for number in range(5, 13):
        block = f"block{number}"
        residual = x
        for place in (1, 2, 3):
            x = layers.Activation("relu", name=f"{block}_sepconv{place}_act")(x)
            x = _separable(x, f"{block}_sepconv{place}", channels(728))
        x = layers.Add(name=f"{block}_add")([x, residual])
    x = _shrinking_block(x, "block13", channels(728), channels(1024))

    for place, full in ((1, 1536), (2, 2048)):
        x = _separable(x, f"block14_sepconv{place}", channels(full))
        x = layers.Activation("relu", name=f"block14_sepconv{place}_act")(x)

    model = keras.Model(inputs, x, name=name)
    if weights is not None:
        model.load_weights(str(weights))
    return model


def _separable(x: keras.KerasTensor, name: str, channels: int) -> keras.KerasTensor:
    x = layers.SeparableConv2D(channels, 3, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def _shrinking_block(
    x: keras.KerasTensor, block: str, first: int, second: int, first_act: bool = True
) -> keras.KerasTensor:
    """Two separable convolutions and a pooling to half the size, beside a projection."""
    residual = layers.Conv2D(
        second, 1, strides=2, padding="same", use_bias=False, name=f"{block}_residual"
    )(x)
    residual = layers.BatchNormalization(name=f"{block}_residual_bn")(residual)
    if first_act:
        x = layers.Activation("relu", name=f"{block}_sepconv1_act")(x)
    x = _separable(x, f"{block}_sepconv1", first)
    x = layers.Activation("relu", name=f"{block}_sepconv2_act")(x)
    x = _separable(x, f"{block}_sepconv2", second)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{block}_pool")(x)
    return layers.Add(name=f"{block}_add")([x, residual])


def VGG16Conv5(  # noqa: N802 - named like its neighbours in keras.applications
    weights: str | None = None, input_shape: tuple[int | None, int | None, int] | None = None
) -> keras.Model:
    """VGG16 without its last max pooling.

    From (B, H, W, 3), BGR with ImageNet's mean taken away, sides of at least 32 pixels, to
    (B, H / 16, W / 16, 512). Bilinear CNNs pool the last convolution's features, of which there
    are four times as many places as after that pooling: Lin et al. 2015, arXiv 1504.07889, section
    3. The pooling has no weights, so a weights file of the headless VGG16 fits.
    """
    whole = keras.applications.VGG16(include_top=False, weights=weights, input_shape=input_shape)
    return keras.Model(whole.input, whole.get_layer("block5_conv3").output, name="vgg16_conv5")
