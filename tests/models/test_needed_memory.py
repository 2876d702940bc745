"""What steps take at the least, against layers counted by hand."""

import keras

from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import softmax_model
from finegrain.models.needed_memory import least_answer_bytes, least_training_bytes

# Of one image, in float32: 16 x 16 x 8, 8 x 8 x 4 and the embedding.
FIRST, SECOND, EMBEDDING, IMAGE = 4 * 2048, 4 * 256, 4 * 4, 4 * 32 * 32 * 3


def model():
    """Two convolutions with a BatchNormalization between them, and a softmax of 3 classes."""
    image = keras.Input((32, 32, 3))
    hidden = keras.layers.Conv2D(8, 2, strides=2, use_bias=False)(image)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Conv2D(4, 2, strides=2, use_bias=False)(hidden)
    backbone = keras.Model(image, hidden, name="backbone")
    return softmax_model(backbone, find_backbone("mobilenet_v2"), 3)


WEIGHTS = 4 * (2 * 2 * 3 * 8 + 4 * 8 + 2 * 2 * 8 * 4 + 4 * 3 + 3)


def test_answers_take_the_weights_and_the_largest_layer():
    assert least_answer_bytes(model(), 10) == WEIGHTS + 10 * FIRST


def test_a_frozen_backbone_answers_in_batches_of_its_own():
    layers = len(model().get_layer("backbone").layers)
    assert least_training_bytes(model(), layers, 100, 2) == WEIGHTS + 2 * FIRST


def test_trained_layers_keep_a_share_of_what_they_give():
    heads = 2 * EMBEDDING + 4 * 3
    kept = 0.35 * (IMAGE + 2 * FIRST + SECOND + heads)
    assert kept > FIRST
    assert least_training_bytes(model(), 0, 10, 1) == WEIGHTS + 10 * kept
    # From the second convolution on, whose output is larger than the share of all of them.
    assert 0.35 * (SECOND + heads) < SECOND
    assert least_training_bytes(model(), 3, 10, 1) == WEIGHTS + 10 * SECOND


def test_half_precision_takes_half():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert least_answer_bytes(model(), 10) == WEIGHTS + 10 * FIRST / 2
    finally:
        keras.config.set_dtype_policy("float32")
