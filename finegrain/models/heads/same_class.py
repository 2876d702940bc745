"""The same class or not? The pairwise head, for the verification loss."""

import keras

from finegrain.models.layers import SquaredDifference
from finegrain.tensor import Tensor

SAME_CLASS = "same_class"
SQUARED_DIFFERENCE = "squared_difference"


def same_class_head(embedding: Tensor, partner_embedding: Tensor) -> Tensor:
    """Probabilities of "another class" and "the same class" for pairs of embeddings.

    A square layer and a two-way softmax: Zheng et al. 2016, arXiv 1611.05666, section 3.3.

    Args:
        embedding: (B, D) Keras tensor.
        partner_embedding: (B, D) Keras tensor; row i is compared with row i of `embedding`.

    Returns:
        (B, 2) Keras tensor of float32 probabilities, named `same_class`; column 1 is "same".
    """
    difference = SquaredDifference(name=SQUARED_DIFFERENCE)([embedding, partner_embedding])
    # Squares of large embeddings make a random start confidently wrong, and its gradients wreck
    # the backbone; from zero it starts undecided whatever the embedding's scale.
    dense = keras.layers.Dense(
        2, activation="softmax", kernel_initializer="zeros", dtype="float32", name=SAME_CLASS
    )
    return dense(difference)
