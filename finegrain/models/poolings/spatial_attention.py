"""Where to look: a mask over the places of the feature map."""

from keras import layers

from finegrain.tensor import Tensor

MASK = "attention_mask"


def spatial_attention(features: Tensor, dropout: float = 0.5) -> Tensor:
    """Features times a learned mask, one number from 0 to 1 for each place.

    Four 1 x 1 convolutions of 64, 16 and 8 channels (ReLU) and 1 (sigmoid) look at one place at a
    time; any backbone's features will do.

    Args:
        features: (B, h, w, C) Keras tensor.
        dropout: share of the features that the mask is made without in training.

    Returns:
        (B, h, w, C) Keras tensor; the mask (B, h, w, 1) comes from the layer `attention_mask`.
    """
    mask = layers.Dropout(dropout, dtype="float32", name="attention_dropout")(features)
    for number, channels in enumerate((64, 16, 8), start=1):
        name = f"attention_conv{number}"
        mask = layers.Conv2D(channels, 1, activation="relu", dtype="float32", name=name)(mask)
    mask = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name=MASK)(mask)
    return layers.Multiply(dtype="float32", name="attended")([features, mask])
