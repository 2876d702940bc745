"""VGG16 up to its last convolution: features at 1/16 of the input, for bilinear pooling."""

import keras


def VGG16Conv5(  # noqa: N802 - called like its neighbours in keras.applications
    weights: str | None = None, input_shape: tuple[int | None, int | None, int] | None = None
) -> keras.Model:
    """VGG16 without its last max pooling.

    Bilinear CNNs pool the last convolution's features, of which there are four times as many
    places as after that pooling: Lin et al. 2015, arXiv 1504.07889, section 3. The pooling has no
    weights, so a weights file of the headless VGG16 fits.

    Args:
        weights: `imagenet`, or None for fresh ones.
        input_shape: (height, width, 3), sides of at least 32 pixels; None for any.

    Returns:
        A functional model from (B, H, W, 3), BGR with ImageNet's mean taken away, to
        (B, H / 16, W / 16, 512).
    """
    whole = keras.applications.VGG16(include_top=False, weights=weights, input_shape=input_shape)
    return keras.Model(whole.input, whole.get_layer("block5_conv3").output, name="vgg16_conv5")
