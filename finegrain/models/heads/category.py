"""Which class? Dropout and a softmax, for the identification loss."""

import keras

CATEGORY = "category"


def category_head(embedding, classes: int, dropout: float = 0.5):
    """Class probabilities from an embedding.

    Args:
        embedding: (B, D) Keras tensor.
        classes: number of classes C.
        dropout: share of the embedding dropped in training.

    Returns:
        (B, C) Keras tensor of float32 probabilities, named `category`.
    """
    # float32 under mixed precision too: a float16 softmax loses small probabilities.
    dropped = keras.layers.Dropout(dropout, dtype="float32", name="category_dropout")(embedding)
    return keras.layers.Dense(classes, activation="softmax", dtype="float32", name=CATEGORY)(
        dropped
    )
