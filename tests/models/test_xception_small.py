"""XceptionSmall is Xception in all but width."""

import keras
import numpy as np
import pytest

from finegrain.models.xception_small import XceptionSmall

AUTO_NAMED = ("conv2d", "batch_normalization", "add", "input_layer")


@pytest.fixture(scope="module")
def original() -> keras.Model:
    return keras.applications.Xception(weights=None, include_top=False)


@pytest.fixture(scope="module")
def full_width() -> keras.Model:
    return XceptionSmall(width=1)


def inbound(model: keras.Model) -> list[list[int]]:
    """For each layer the places, in order, of the layers that feed it."""
    place = {id(layer): i for i, layer in enumerate(model.layers)}
    return [
        [place[id(t._keras_history.operation)] for t in layer._inbound_nodes[0].input_tensors]
        for layer in model.layers
    ]


def test_same_layers_in_the_same_order(original, full_width):
    assert len(full_width.layers) == len(original.layers)
    for mine, theirs in zip(full_width.layers, original.layers, strict=True):
        assert type(mine) is type(theirs)
        if not theirs.name.startswith(AUTO_NAMED):
            assert mine.name == theirs.name


def test_same_connections(original, full_width):
    assert inbound(full_width) == inbound(original)


def test_layer_105_is_the_start_of_block_12(full_width):
    # The input layer's own name counts up from model to model.
    names = [layer.name for layer in XceptionSmall().layers]
    assert names[1:] == [layer.name for layer in full_width.layers][1:]
    assert names[105] == "block11_add"
    assert names[106] == "block12_sepconv1_act"


def test_full_width_has_the_parameters_of_the_original(full_width):
    assert full_width.count_params() == 20_861_480


def test_full_width_computes_what_the_original_computes(original, full_width):
    full_width.set_weights(original.get_weights())
    images = np.random.default_rng(0).uniform(-1, 1, (1, 80, 96, 3)).astype("float32")
    np.testing.assert_allclose(
        full_width(images, training=False), original(images, training=False), atol=1e-5
    )


@pytest.mark.parametrize("width", [0.1, 0.25, 0.4])
def test_channels_are_multiples_of_eight(width):
    model = XceptionSmall(width=width)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            assert layer.filters % 8 == 0
    assert model.output_shape[-1] == round(2048 * width / 8) * 8


def test_width_must_be_positive():
    with pytest.raises(ValueError, match="Received: width=0"):
        XceptionSmall(width=0)
