"""Backbone, embedding and softmax head: the baseline model, and the stem all models share."""

from typing import Any, NamedTuple

import keras

from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.heads import CATEGORY, EMBEDDING
from finegrain.models.heads.category import (
    HIDDEN,
    NECK,
    SOFTMAX,
    category_features,
    category_head,
)
from finegrain.models.heads.same_class import has_pair_head
from finegrain.models.image_heads import PLAIN, ImageHead, head_embedding
from finegrain.models.layers import Preprocess
from finegrain.models.needed_memory import MEMORY_GB, check_head_fits
from finegrain.tensor import Tensor


def image_embedding(
    backbone: keras.Model, spec: BackboneSpec, head: ImageHead = PLAIN, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """The way from pixels to an embedding: `Stem.image` and `Stem.embedding`; args as `stem`."""
    image = keras.Input(backbone.input_shape[1:], name="image")
    pixels = Preprocess(spec.preprocessing, name="preprocess")(image)
    return image, head_embedding(backbone(pixels), head, seed)


class Stem(NamedTuple):
    """Keras tensors that all models of the project begin with.

    The image is (B, H, W, 3), RGB 0 to 255, the embedding (B, D) float32, and the features, from
    which the last layer learns the classes, (B, `hidden` or D) float32.
    """

    image: Tensor
    embedding: Tensor
    features: Tensor


def stem(
    backbone: keras.Model,
    spec: BackboneSpec,
    classes: int,
    dropout: float = 0.5,
    hidden: int = 0,
    *,
    head: ImageHead = PLAIN,
    hidden_dropout: float | None = None,
    neck: str = "none",
    seed: int = 0,
    memory_gb: float = MEMORY_GB,
) -> Stem:
    """The way from pixels to an embedding and on, preprocessing inside.

    The backbone comes from `build_backbone`, and the spec is the row it was built from. The rest
    goes to `category_features`, `head_embedding` and `check_head_fits`, which may refuse the head.
    """
    check_head_fits(head, backbone.output_shape[-1], hidden or classes, memory_gb)
    image, embedding = image_embedding(backbone, spec, head, seed)
    features = category_features(embedding, dropout, hidden, hidden_dropout, neck)
    return Stem(image, embedding, features)


def softmax_model(
    backbone: keras.Model,
    spec: BackboneSpec,
    classes: int,
    *heads: Any,
    activation: str | None = SOFTMAX,
    from_zero: bool = False,
    **named_heads: Any,
) -> keras.Model:
    """The softmax-only baseline: `image` (B, H, W, 3) -> `category` (B, C) probabilities.

    With `activation=None` logits, as training wants them. See `category_head` and `stem`.
    """
    image, _, features = stem(backbone, spec, classes, *heads, **named_heads)
    category = category_head(features, classes, activation, from_zero)
    return keras.Model(image, category, name="softmax")


def classifier(model: keras.Model) -> keras.Model:
    """`image` (B, H, W, 3) -> (B, C) probabilities, sharing a trained model's layers."""
    return _as_far_as(model, CATEGORY, "classifier")


def answering_model(model: keras.Model) -> keras.Model:
    """`image` (B, H, W, 3) -> probabilities (B, C) and its `representation`, (B, D)."""
    below = model.get_layer(representation(model)).output
    outputs = [model.get_layer(CATEGORY).output, below]
    return keras.Model(model.get_layer("image").output, outputs, name="answering")


def representation(model: keras.Model) -> str:
    """Name of the layer that stands for an image where images are compared or exported.

    What the softmax learns from: `hidden` where there is one, else `neck`, else `embedding`; but
    `embedding` where a pair head compares images by it.
    """
    names = {layer.name for layer in model.layers}
    if has_pair_head(model):
        return EMBEDDING
    return next((name for name in (HIDDEN, NECK) if name in names), EMBEDDING)


def representing_model(model: keras.Model) -> keras.Model:
    """`image` (B, H, W, 3) -> list of the `representation` (B, D), sharing a model's layers."""
    output = model.get_layer(representation(model)).output
    return keras.Model(model.get_layer("image").output, [output], name="below")


def embedder(model: keras.Model) -> keras.Model:
    """`image` (B, H, W, 3) -> (B, D) embeddings, sharing a trained model's layers."""
    return _as_far_as(model, EMBEDDING, "embedder")


def _as_far_as(model: keras.Model, layer: str, name: str) -> keras.Model:
    return keras.Model(model.get_layer("image").output, model.get_layer(layer).output, name=name)
