"""The multi-loss model: one backbone, a softmax head and a pairwise same-class head.

Zheng et al. 2016 (arXiv 1611.05666) train with two towers that share weights and see two
batches. Here the partner of every image stands in the same batch, so each image passes the
backbone once and loss and gradients are the same.
"""

import keras

from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.classifier import embedder, image_embedding
from finegrain.models.heads.category import CATEGORY, category_head
from finegrain.models.heads.same_class import SAME_CLASS, SQUARED_DIFFERENCE, same_class_head
from finegrain.models.image_heads import PLAIN, ImageHead
from finegrain.models.layers import TakePartner
from finegrain.models.needed_memory import MEMORY_GB, check_head_fits

PARTNER = "partner"


def multi_loss_model(
    backbone: keras.Model,
    spec: BackboneSpec,
    classes: int,
    dropout: float = 0.5,
    hidden: int = 0,
    *,
    head: ImageHead = PLAIN,
    hidden_dropout: float | None = None,
    seed: int = 0,
    memory_gb: float = MEMORY_GB,
) -> keras.Model:
    """The training model of the recipe.

    Args:
        backbone: headless network, from `build_backbone`.
        spec: the row it was built from.
        classes: number of classes C.
        dropout: dropout before the softmax.
        hidden: see `category_head`; pairs are compared by their embeddings below it.
        head: how the feature map becomes an embedding.
        hidden_dropout: see `category_head`.
        seed: see `head_embedding`.
        memory_gb: see `check_head_fits`.

    Returns:
        Model from a dict of `image` (B, H, W, 3), RGB 0 to 255, and `partner` (B,) int32,
        indices inside the batch, to a dict of `category` (B, C) and `same_class` (B, 2)
        probabilities; column 1 of `same_class` is "same".

    Raises:
        UserError: the head's weights do not fit the memory.
    """
    check_head_fits(head, backbone.output_shape[-1], hidden or classes, memory_gb)
    image, embedding = image_embedding(backbone, spec, head, seed)
    partner = keras.Input((), dtype="int32", name=PARTNER)
    partner_embedding = TakePartner(name="take_partner")([embedding, partner])
    outputs = {
        CATEGORY: category_head(embedding, classes, dropout, hidden, hidden_dropout),
        SAME_CLASS: same_class_head(embedding, partner_embedding),
    }
    return keras.Model({"image": image, PARTNER: partner}, outputs, name="multi_loss")


def same_class(model: keras.Model) -> keras.Model:
    """`[image_1, image_2]`, each (B, H, W, 3) -> (B, 2) probabilities, sharing trained layers."""
    embed = embedder(model)
    shape = model.get_layer("image").output.shape[1:]
    images = [keras.Input(shape, name="image_1"), keras.Input(shape, name="image_2")]
    difference = model.get_layer(SQUARED_DIFFERENCE)([embed(image) for image in images])
    return keras.Model(images, model.get_layer(SAME_CLASS)(difference), name="same_class_pair")
