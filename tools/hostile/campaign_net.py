"""A backbone of two convolutions, so that a whole training takes two seconds."""

import keras


def CampaignNet(  # noqa: N802 - named and called like the backbones of keras.applications
    include_top: bool = False,
    weights: str | None = None,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
) -> keras.Model:
    """From (B, H, W, 3) to (B, H/8, W/8, 16); it has no weights to download.

    Raises:
        ValueError: ImageNet weights or a classifier are asked for.
    """
    if include_top or weights is not None:
        raise ValueError("CampaignNet has neither a classifier nor pretrained weights")
    image = keras.Input(input_shape)
    x = keras.layers.Conv2D(8, 4, strides=4, activation="relu", name="first")(image)
    x = keras.layers.BatchNormalization(name="first_bn")(x)
    x = keras.layers.Conv2D(16, 3, 2, padding="same", activation="relu", name="last")(x)
    return keras.Model(image, x, name="campaign_net")


def offer_campaign_net() -> None:
    """Make `--backbone CampaignNet` a name that every command of this process knows."""
    keras.applications.CampaignNet = CampaignNet
