"""Every image head by name: how a backbone's feature map becomes an embedding."""

from dataclasses import dataclass, replace
from typing import Literal

import keras
from keras import layers

from finegrain.errors import UserError, no_such
from finegrain.models.heads import EMBEDDING
from finegrain.models.layers import GeneralizedMean
from finegrain.models.poolings.attention import cbam, spatial_attention, squeeze_excitation
from finegrain.models.poolings.bilinear import bilinear_pooling, compact_bilinear_pooling
from finegrain.tensor import Tensor

FEATURE_MAP = "feature_map"
COMPACT_WIDTH = 8192


@dataclass(frozen=True)
class ImageHead:
    """One row of the table, by the name typed after `--head`: an attention, then a pooling.

    Attributes:
        attention: what weighs the feature map, after a BatchNormalization: `spatial`, `se`,
            `cbam`, or `none`, which leaves the map as it is.
        pooling: `average`; `gem`, a mean that learns how much large features count; `squares`, the
            average of every feature's square; `outer`, of all products of two features; or
            `sketch`, the same squeezed to `compact` numbers.
        attention_dropout: share of the features that a spatial mask is made without.
        fan_out: whether a spatial mask goes through a convolution that may weigh it anew for each
            channel.
        biases: whether the layers of `se` have biases and begin as He et al. 2015 have it.
        momentum: of the BatchNormalization before an attention. A fine-tuning has few steps, in
            which Keras's own 0.99 would not get far from the statistics of fresh weights.
        reduction: how much narrower the inner layer of `se` and `cbam` is.
        compact: width of the sketch.
    """

    name: str
    attention: Literal["none", "spatial", "se", "cbam"] = "none"
    pooling: Literal["average", "gem", "squares", "outer", "sketch"] = "average"
    attention_dropout: float = 0.5
    fan_out: bool = False
    biases: bool = False
    momentum: float = 0.9
    reduction: int = 8
    compact: int = 0


PLAIN = ImageHead("plain")


def listed_heads() -> dict[str, ImageHead]:
    """All heads by name."""
    rows = [
        PLAIN,
        ImageHead("attention", "spatial"),
        ImageHead("se", "se"),
        ImageHead("cbam", "cbam"),
        ImageHead("bilinear", pooling="outer"),
        ImageHead("bilinear_attention", "spatial", "squares"),
        ImageHead("compact_bilinear", pooling="sketch", compact=COMPACT_WIDTH),
        # As they were first coded.
        ImageHead("attention_coded", "spatial", momentum=0.99),
        ImageHead("se_coded", "se", biases=True, momentum=0.99),
        ImageHead("cbam_coded", "cbam", momentum=0.99),
        ImageHead("bilinear_attention_coded", "spatial", "squares", fan_out=True, momentum=0.99),
    ]
    return {row.name: row for row in rows}


def find_head(name: str, compact: int = 0, pooling: str = "mean") -> ImageHead:
    """Look a head up by name; case and `-` or `_` do not matter.

    `compact` squeezes a bilinear head's products to so many numbers; 0 leaves it as listed. The
    pooling `gem` takes the place of the mean.

    Raises:
        UserError: no such head, or one that has no products of features to squeeze, or no mean.
    """
    listed = listed_heads()
    wanted = name.strip().lower().replace("-", "_")
    if wanted not in listed:
        raise no_such("head", name, wanted, {key: key for key in listed})
    head = listed[wanted]
    if compact < 0:
        raise UserError(f"--compact must not be negative, but is {compact}")
    if pooling == "gem":
        if head.pooling != "average":
            raise UserError(
                f"--pooling gem takes the place of the mean over a feature map, which the head "
                f"{head.name} has not; leave it out, or take another --head"
            )
        head = replace(head, pooling="gem")
    if not compact:
        return head
    if head.pooling not in ("outer", "sketch"):
        raise UserError(
            f"--compact {compact} squeezes an outer product, which the head {head.name} has not; "
            "leave it out, or take --head bilinear"
        )
    return replace(head, pooling="sketch", compact=compact)


def head_embedding(features: Tensor, head: ImageHead = PLAIN, seed: int = 0) -> Tensor:
    """From a feature map (B, h, w, C) to (B, D) float32, the output of the layer `embedding`.

    All of it is float32 under mixed precision too: the mean of a map in bfloat16 loses digits,
    and squares overflow float16. D is as `embedding_width` says, the seed that of a sketch.
    """
    if head != PLAIN:
        features = layers.Identity(dtype="float32", name=FEATURE_MAP)(features)
    features = _attend(features, head)
    if head.pooling == "outer":
        return bilinear_pooling(features, EMBEDDING)
    if head.pooling == "sketch":
        return compact_bilinear_pooling(features, head.compact, seed, EMBEDDING)
    if head.pooling == "gem":
        return GeneralizedMean(name=EMBEDDING)(features)
    if head.pooling == "squares":
        squares = layers.Multiply(dtype="float32", name="squared_features")
        features = squares([features, features])
    return layers.GlobalAveragePooling2D(dtype="float32", name=EMBEDDING)(features)


def feature_map(model: keras.Model) -> Tensor:
    """The Keras tensor (B, h, w, C) on which the head of an assembled model stands."""
    names = {layer.name for layer in model.layers}
    return model.get_layer(FEATURE_MAP if FEATURE_MAP in names else EMBEDDING).input


def _attend(features: Tensor, head: ImageHead) -> Tensor:
    if head.attention == "none":
        return features
    norm = layers.BatchNormalization(momentum=head.momentum, dtype="float32", name="head_norm")
    features = norm(features)
    if head.attention == "spatial":
        return spatial_attention(features, head.attention_dropout, head.fan_out)
    if head.attention == "se":
        return squeeze_excitation(features, head.reduction, head.biases)
    return cbam(features, head.reduction)
