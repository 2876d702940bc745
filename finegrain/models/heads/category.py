"""Which class? What the identification loss learns from."""

import keras

from finegrain.models.heads import CATEGORY
from finegrain.tensor import Tensor

HIDDEN = "hidden"
NECK = "neck"
SOFTMAX = "softmax"


def category_features(
    embedding: Tensor,
    dropout: float = 0.5,
    hidden: int = 0,
    hidden_dropout: float | None = None,
    neck: str = "none",
) -> Tensor:
    """What the last layer sees of an embedding (B, D): (B, `hidden` or D) float32.

    Args:
        dropout: share of what the last layer sees that is dropped in training.
        hidden: width of a ReLU layer in between, with a dropout of its own before it; 0 for none.
        hidden_dropout: share of the embedding dropped before that layer, by default as much as
            before the last; 0 leaves this dropout out.
        neck: `bn` puts a BatchNormalization without a shift first. So the softmax sees features
            all of one size, while pair losses go by the embedding before it: Luo et al. 2019,
            "Bag of Tricks and A Strong Baseline for Deep Person Re-identification", arXiv
            1903.07071, section 3.6.
    """
    # float32 under mixed precision too: a float16 softmax loses small probabilities.
    if neck == "bn":
        # A fine-tuning has few steps, as in the norm of an attention.
        norm = keras.layers.BatchNormalization(
            momentum=0.9, center=False, dtype="float32", name=NECK
        )
        embedding = norm(embedding)
    if hidden:
        share = dropout if hidden_dropout is None else hidden_dropout
        if hidden_dropout != 0:
            drop = keras.layers.Dropout(share, dtype="float32", name="hidden_dropout")
            embedding = drop(embedding)
        embedding = keras.layers.Dense(hidden, "relu", dtype="float32", name=HIDDEN)(embedding)
    return keras.layers.Dropout(dropout, dtype="float32", name="category_dropout")(embedding)


def category_head(
    features: Tensor, classes: int, activation: str | None = SOFTMAX, from_zero: bool = False
) -> Tensor:
    """(B, C) Keras tensor named `category`, from `category_features`.

    Float32 probabilities, or with `activation=None`, as training wants them, logits. From zero it
    starts with all classes alike, so that nothing random is passed down to the backbone.
    """
    dense = keras.layers.Dense(
        classes,
        activation=activation,
        kernel_initializer="zeros" if from_zero else "glorot_uniform",
        dtype="float32",
        name=CATEGORY,
    )
    return dense(features)
