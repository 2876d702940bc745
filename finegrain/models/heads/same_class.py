"""The same class or not? The pairwise head, for the verification loss."""

import keras

from finegrain.models.heads import EMBEDDING, SAME_CLASS
from finegrain.models.heads.category import SOFTMAX
from finegrain.models.layers import SquaredDifference
from finegrain.tensor import Tensor

SQUARED_DIFFERENCE = "squared_difference"


def same_class_head(
    embedding: Tensor,
    partner_embedding: Tensor,
    activation: str | None = SOFTMAX,
    from_zero: bool = True,
) -> Tensor:
    """(B, 2) float32 probabilities of "another class" and "the same", named `same_class`.

    They compare embeddings (B, D) row by row, by a square layer and a two-way softmax: Zheng et
    al. 2016, arXiv 1611.05666, section 3.3. With `activation=None`, as training wants them,
    logits.
    """
    difference = SquaredDifference(name=SQUARED_DIFFERENCE)([embedding, partner_embedding])
    # Squares of large embeddings make a random start confidently wrong, and its gradients wreck
    # the backbone; from zero it starts undecided whatever the embedding's scale.
    dense = keras.layers.Dense(
        2,
        activation=activation,
        kernel_initializer="zeros" if from_zero else "glorot_uniform",
        dtype="float32",
        name=SAME_CLASS,
    )
    return dense(difference)


def has_pair_head(model: keras.Model) -> bool:
    """Whether a model compares pairs of images."""
    return SAME_CLASS in [layer.name for layer in model.layers]


def pair_head(model: keras.Model) -> keras.Model | None:
    """`[embeddings_1, embeddings_2]`, each (B, D) -> (B, 2), by the model's own head, if any."""
    if not has_pair_head(model):
        return None
    width = model.get_layer(EMBEDDING).output.shape[-1]
    inputs = [keras.Input((width,)), keras.Input((width,))]
    difference = model.get_layer(SQUARED_DIFFERENCE)(inputs)
    return keras.Model(inputs, model.get_layer(SAME_CLASS)(difference), name="pair_head")
