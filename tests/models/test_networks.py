"""Networks that keras.applications lacks."""

import keras
import numpy as np
import pytest

from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.models.networks import XceptionSmall

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


def test_it_takes_both_kinds_of_vgg16s_weights_files(tmp_path):
    keras.utils.set_random_seed(0)
    whole = build_backbone(find_backbone("vgg16"), "none", (48, 48))
    whole.save_weights(tmp_path / "vgg16.weights.h5")
    whole.save(tmp_path / "vgg16.h5")  # as keras.applications ships them
    image = np.random.default_rng(0).uniform(-100, 100, (1, 48, 48, 3)).astype("float32")
    expected = keras.Model(whole.input, whole.get_layer("block5_conv3").output)(image)
    for name in ("vgg16.weights.h5", "vgg16.h5"):
        cut = build_backbone(find_backbone("vgg16_conv5"), str(tmp_path / name), (48, 48))
        assert cut.output_shape == (None, 3, 3, 512)
        features = np.asarray(cut(image))
        assert features.std() > 0
        np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
