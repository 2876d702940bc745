"""Attentions: what weighs a feature map, a Keras tensor (B, h, w, C), before it is pooled."""

from keras import layers

from finegrain.models.layers import ChannelStatistics
from finegrain.tensor import Tensor

MASK = "attention_mask"


def spatial_attention(features: Tensor, dropout: float = 0.5, fan_out: bool = False) -> Tensor:
    """Features times a learned mask, one number from 0 to 1 for each place.

    Four 1 x 1 convolutions of 64, 16 and 8 channels (ReLU) and 1 (sigmoid) look at one place at a
    time; any backbone's features will do. The mask (B, h, w, 1) comes from the layer
    `attention_mask`, in training made with a dropout of the features. With `fan_out` a convolution
    that begins with ones and learns spreads it over the channels.
    """
    mask = layers.Dropout(dropout, dtype="float32", name="attention_dropout")(features)
    for number, channels in enumerate((64, 16, 8), start=1):
        name = f"attention_conv{number}"
        mask = layers.Conv2D(channels, 1, activation="relu", dtype="float32", name=name)(mask)
    mask = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name=MASK)(mask)
    if fan_out:
        mask = layers.Conv2D(
            features.shape[-1],
            1,
            use_bias=False,
            kernel_initializer="ones",
            dtype="float32",
            name="attention_fan_out",
        )(mask)
    return layers.Multiply(dtype="float32", name="attended")([features, mask])


def squeeze_excitation(features: Tensor, reduction: int = 8, biases: bool = False) -> Tensor:
    """Features times a weight from 0 to 1 for each channel, made from the channels' means.

    Hu, Shen, Albanie, Sun and Wu 2017, "Squeeze-and-Excitation Networks", arXiv 1709.01507,
    section 3; without biases, as there. The narrow layer has C / reduction channels, at least 1.
    With `biases` the layers have them, and begin with kernels as He et al. 2015, arXiv 1502.01852,
    section 2.2, draw them.
    """
    channels = features.shape[-1]
    squeezed = layers.GlobalAveragePooling2D(dtype="float32", name="se_squeeze")(features)
    drawn = "he_normal" if biases else "glorot_uniform"
    style = {"use_bias": biases, "kernel_initializer": drawn, "dtype": "float32"}
    narrow = layers.Dense(max(1, channels // reduction), "relu", name="se_narrow", **style)(
        squeezed
    )
    weight = layers.Dense(channels, "sigmoid", name="se_weight", **style)(narrow)
    weight = layers.Reshape((1, 1, channels), dtype="float32", name="se_shape")(weight)
    return layers.Multiply(dtype="float32", name="se_excited")([features, weight])


def cbam(features: Tensor, reduction: int = 8, kernel: int = 7) -> Tensor:
    """Features times a weight a channel, then times a weight a place.

    Woo, Park, Lee and Kweon 2018, "CBAM: Convolutional Block Attention Module", arXiv 1807.06521,
    section 3. The narrow layer of the shared MLP has C / reduction channels, at least 1; `kernel`
    is the side of the convolution that weighs the places.
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
    name = "cbam_place_weight"
    weight = layers.Conv2D(
        1, kernel, padding="same", use_bias=False, activation="sigmoid", dtype="float32", name=name
    )(statistics)
    return layers.Multiply(dtype="float32", name="cbam_places")([features, weight])
