"""The multi-loss model: one backbone, a softmax head and a pairwise same-class head.

Zheng et al. 2016 (arXiv 1611.05666) train with two towers that share weights and see two
batches. Here the partner of every image stands in the same batch, so each image passes the
backbone once and loss and gradients are the same.
"""

from typing import Any

import keras

from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.classifier import embedder, stem
from finegrain.models.heads import CATEGORY, EMBEDDING, SAME_CLASS
from finegrain.models.heads.category import SOFTMAX, category_head
from finegrain.models.heads.same_class import SQUARED_DIFFERENCE, same_class_head
from finegrain.models.layers import TakePartner

PARTNER = "partner"


def multi_loss_model(
    backbone: keras.Model,
    spec: BackboneSpec,
    classes: int,
    *heads: Any,
    activation: str | None = SOFTMAX,
    from_zero: bool = False,
    pairs_from_zero: bool = True,
    **named_heads: Any,
) -> keras.Model:
    """The model of the recipe, pairs compared by their embeddings.

    From a dict of `image` (B, H, W, 3), RGB 0 to 255, and `partner` (B,) int32, indices inside
    the batch, to a dict of `category` (B, C) and `same_class` (B, 2) probabilities; column 1 of
    `same_class` is "same". With `activation=None` logits, as training wants them; otherwise see
    `stem`.
    """
    image, embedding, features = stem(backbone, spec, classes, *heads, **named_heads)
    partner = keras.Input((), dtype="int32", name=PARTNER)
    partner_embedding = TakePartner(name="take_partner")([embedding, partner])
    outputs = {
        CATEGORY: category_head(features, classes, activation, from_zero),
        SAME_CLASS: same_class_head(embedding, partner_embedding, activation, pairs_from_zero),
    }
    return keras.Model({"image": image, PARTNER: partner}, outputs, name="multi_loss")


def two_towers(model: keras.Model) -> keras.Model:
    """`[image_1, image_2]`, each (B, H, W, 3) -> `[category_1, category_2, same_class]`.

    The form of the source, Zheng et al. 2016, arXiv 1611.05666, section 3: both images of a pair
    pass the same network, twice the work. It shares the layers of `multi_loss_model`'s model and
    gives what its heads give, (B, C), (B, C) and (B, 2).
    """
    image = model.get_layer("image").output
    ends = [model.get_layer(CATEGORY).output, model.get_layer(EMBEDDING).output]
    tower = keras.Model(image, ends, name="tower")
    images = [keras.Input(image.shape[1:], name=f"image_{number}") for number in (1, 2)]
    answers = [tower(each) for each in images]
    difference = model.get_layer(SQUARED_DIFFERENCE)([embedding for _, embedding in answers])
    same = model.get_layer(SAME_CLASS)(difference)
    return keras.Model(images, [category for category, _ in answers] + [same], name="two_towers")


def same_class(model: keras.Model) -> keras.Model:
    """`[image_1, image_2]`, each (B, H, W, 3) -> (B, 2) probabilities, sharing trained layers."""
    embed = embedder(model)
    shape = model.get_layer("image").output.shape[1:]
    images = [keras.Input(shape, name="image_1"), keras.Input(shape, name="image_2")]
    difference = model.get_layer(SQUARED_DIFFERENCE)([embed(image) for image in images])
    return keras.Model(images, model.get_layer(SAME_CLASS)(difference), name="same_class_pair")
