"""Which channels matter in this image: squeeze-and-excitation."""

from keras import layers

from finegrain.tensor import Tensor


def squeeze_excitation(features: Tensor, reduction: int = 8) -> Tensor:
    """Features times a weight from 0 to 1 for each channel, made from the channels' means.

    Hu, Shen, Albanie, Sun and Wu 2017, "Squeeze-and-Excitation Networks", arXiv 1709.01507,
    section 3; without biases, as there.

    Args:
        features: (B, h, w, C) Keras tensor.
        reduction: the narrow layer has C / reduction channels, at least 1.

    Returns:
        (B, h, w, C) Keras tensor.
    """
    channels = features.shape[-1]
    squeezed = layers.GlobalAveragePooling2D(dtype="float32", name="se_squeeze")(features)
    narrow = layers.Dense(
        max(1, channels // reduction), "relu", use_bias=False, dtype="float32", name="se_narrow"
    )(squeezed)
    weight = layers.Dense(channels, "sigmoid", use_bias=False, dtype="float32", name="se_weight")(
        narrow
    )
    weight = layers.Reshape((1, 1, channels), dtype="float32", name="se_shape")(weight)
    return layers.Multiply(dtype="float32", name="se_excited")([features, weight])
