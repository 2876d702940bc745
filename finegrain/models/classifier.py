"""Backbone, embedding and softmax head: the baseline model, and the stem all models share."""

import keras

from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.heads.category import CATEGORY, category_head
from finegrain.models.layers import Preprocess

EMBEDDING = "embedding"


def image_embedding(backbone: keras.Model, spec: BackboneSpec):
    """The way from pixels to an embedding, preprocessing inside.

    Args:
        backbone: headless network, from `build_backbone`.
        spec: the row it was built from.

    Returns:
        The Keras tensors `image` (B, H, W, 3), RGB 0 to 255, and `embedding` (B, D) float32.
    """
    image = keras.Input(backbone.input_shape[1:], name="image")
    pixels = Preprocess(spec.preprocessing, name="preprocess")(image)
    # float32 under mixed precision too: the mean of a map in bfloat16 loses digits.
    pool = keras.layers.GlobalAveragePooling2D(dtype="float32", name=EMBEDDING)
    embedding = pool(backbone(pixels))
    return image, embedding


def softmax_model(
    backbone: keras.Model,
    spec: BackboneSpec,
    classes: int,
    dropout: float = 0.5,
    hidden: int = 0,
) -> keras.Model:
    """The softmax-only baseline: `image` (B, H, W, 3) -> `category` (B, C) probabilities.

    Args: see `image_embedding` and `category_head`.
    """
    image, embedding = image_embedding(backbone, spec)
    head = category_head(embedding, classes, dropout, hidden)
    return keras.Model(image, head, name="softmax")


def classifier(model: keras.Model) -> keras.Model:
    """`image` (B, H, W, 3) -> (B, C) probabilities, sharing a trained model's layers."""
    return keras.Model(
        model.get_layer("image").output, model.get_layer(CATEGORY).output, name="classifier"
    )


def embedder(model: keras.Model) -> keras.Model:
    """`image` (B, H, W, 3) -> (B, D) embeddings, sharing a trained model's layers."""
    return keras.Model(
        model.get_layer("image").output, model.get_layer(EMBEDDING).output, name="embedder"
    )
