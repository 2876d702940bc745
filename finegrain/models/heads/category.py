"""Which class? Dropout and a softmax, for the identification loss."""

import keras

from finegrain.tensor import Tensor

CATEGORY = "category"
HIDDEN = "hidden"


def category_head(
    embedding: Tensor,
    classes: int,
    dropout: float = 0.5,
    hidden: int = 0,
    hidden_dropout: float | None = None,
) -> Tensor:
    """Class probabilities from an embedding.

    Args:
        embedding: (B, D) Keras tensor.
        classes: number of classes C.
        dropout: share of what the softmax sees that is dropped in training.
        hidden: width of a ReLU layer in between, with a dropout of its own before it; 0 for none.
        hidden_dropout: share of the embedding dropped before that layer, by default as much as
            before the softmax; 0 leaves this dropout out.

    Returns:
        (B, C) Keras tensor of float32 probabilities, named `category`.
    """
    if hidden:
        share = dropout if hidden_dropout is None else hidden_dropout
        if hidden_dropout != 0:
            drop = keras.layers.Dropout(share, dtype="float32", name="hidden_dropout")
            embedding = drop(embedding)
        embedding = keras.layers.Dense(hidden, "relu", dtype="float32", name=HIDDEN)(embedding)
    # float32 under mixed precision too: a float16 softmax loses small probabilities.
    dropped = keras.layers.Dropout(dropout, dtype="float32", name="category_dropout")(embedding)
    return keras.layers.Dense(classes, activation="softmax", dtype="float32", name=CATEGORY)(
        dropped
    )
