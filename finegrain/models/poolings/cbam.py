"""Which channels, then which places: the convolutional block attention module."""

from keras import layers

from finegrain.models.layers import ChannelStatistics
from finegrain.tensor import Tensor


def cbam(features: Tensor, reduction: int = 8, kernel: int = 7) -> Tensor:
    """Features times a weight a channel, then times a weight a place.

    Woo, Park, Lee and Kweon 2018, "CBAM: Convolutional Block Attention Module", arXiv 1807.06521,
    section 3.

    Args:
        features: (B, h, w, C) Keras tensor.
        reduction: the narrow layer of the shared MLP has C / reduction channels, at least 1.
        kernel: side of the convolution that weighs the places.

    Returns:
        (B, h, w, C) Keras tensor.
    """
    return _attend_places(_attend_channels(features, reduction), kernel)


def _attend_channels(features: Tensor, reduction: int) -> Tensor:
    channels = features.shape[-1]
    narrow = layers.Dense(
        max(1, channels // reduction), "relu", dtype="float32", name="cbam_narrow"
    )
    wide = layers.Dense(channels, dtype="float32", name="cbam_wide")
    mean = layers.GlobalAveragePooling2D(dtype="float32", name="cbam_mean")(features)
    largest = layers.GlobalMaxPooling2D(dtype="float32", name="cbam_max")(features)
    # One MLP for both.
    both = layers.Add(dtype="float32", name="cbam_add")([wide(narrow(mean)), wide(narrow(largest))])
    weight = layers.Activation("sigmoid", dtype="float32", name="cbam_channel_weight")(both)
    weight = layers.Reshape((1, 1, channels), dtype="float32", name="cbam_shape")(weight)
    return layers.Multiply(dtype="float32", name="cbam_channels")([features, weight])


def _attend_places(features: Tensor, kernel: int) -> Tensor:
    statistics = ChannelStatistics(name="cbam_statistics")(features)
    weight = layers.Conv2D(
        1,
        kernel,
        padding="same",
        use_bias=False,
        activation="sigmoid",
        dtype="float32",
        name="cbam_place_weight",
    )(statistics)
    return layers.Multiply(dtype="float32", name="cbam_places")([features, weight])
