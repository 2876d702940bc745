"""Backbones by name, their weights, and which of their layers learn."""

import math

import keras
import numpy as np
import pytest

from finegrain.errors import UserError
from finegrain.models.backbone import boundary_index, build_backbone, freeze, weights_digest
from finegrain.models.backbone_table import find_backbone, listed_backbones


@pytest.fixture(scope="module")
def xception():
    return build_backbone(find_backbone("xception"), "none", (299, 299))


def trainable_count(backbone):
    return sum(math.prod(variable.shape) for variable in backbone.trainable_variables)


def test_105_is_xceptions_own_layer_105(xception):
    plain = keras.applications.Xception(include_top=False, weights=None, input_shape=(299, 299, 3))
    assert len(xception.layers) == len(plain.layers) == 132
    # Layer 105 adds up block 11; the first layer with weights after it opens block 12.
    assert isinstance(xception.layers[105], keras.layers.Add)
    assert xception.layers[104].name == "block11_sepconv3_bn"
    assert xception.layers[106].name == "block12_sepconv1_act"
    freeze(xception, 105)
    first = next(layer for layer in xception.layers if layer.trainable_variables)
    assert first.name == "block12_sepconv1"


def test_the_named_boundary_trains_the_same_weights_as_105(xception):
    freeze(xception, boundary_index(xception, "105"))
    by_index = [variable.path for variable in xception.trainable_variables]
    freeze(xception, boundary_index(xception, "block12_sepconv1_act"))
    assert [variable.path for variable in xception.trainable_variables] == by_index


def test_parameters_trained_in_each_stage(xception):
    assert xception.count_params() == 20_861_480
    freeze(xception, None)
    assert trainable_count(xception) == 0
    freeze(xception, 105)

    # Blocks 12 to 14 by hand, BatchNormalization apart: block 12 has three separable
    # convolutions of 728 -> 728; block 13 has 728 -> 728, 728 -> 1024 and a 1x1 shortcut
    # 728 -> 1024; block 14 has 1024 -> 1536 -> 2048.
    def separable(inputs, outputs):
        return 9 * inputs + inputs * outputs

    by_hand = (
        4 * separable(728, 728)
        + separable(728, 1024)
        + 728 * 1024
        + separable(1024, 1536)
        + separable(1536, 2048)
    )
    assert trainable_count(xception) == by_hand
    freeze(xception, 105, train_batch_norm=True)
    assert trainable_count(xception) == by_hand + 2 * (4 * 728 + 2 * 1024 + 1536 + 2048)


def test_frozen_statistics_do_not_move():
    keras.utils.set_random_seed(0)
    backbone = build_backbone(find_backbone("mobilenet_v2_0.35"), "none", (64, 64))
    model = keras.Sequential([backbone, keras.layers.GlobalAveragePooling2D()])
    freeze(backbone, 0)
    model.compile("sgd", "mse")
    norms = [
        layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    before = [[np.array(weight) for weight in layer.get_weights()] for layer in norms]
    kernels = [np.array(variable) for variable in backbone.trainable_variables]
    images = np.random.default_rng(0).normal(2, 3, (8, 64, 64, 3)).astype("float32")
    model.fit(images, np.ones((8, 1280), "float32"), verbose=0, epochs=2)
    for layer, old in zip(norms, before, strict=True):
        for new_weight, old_weight in zip(layer.get_weights(), old, strict=True):
            np.testing.assert_array_equal(new_weight, old_weight)
    moved = [
        np.abs(np.array(variable) - kernel).max()
        for variable, kernel in zip(backbone.trainable_variables, kernels, strict=True)
    ]
    assert max(moved) > 0


@pytest.mark.parametrize("name", list(listed_backbones()))
def test_every_listed_backbone_knows_its_boundary(name):
    spec = find_backbone(name)
    side = max(75, min(spec.image_size, 96))
    backbone = build_backbone(spec, "none", (side, side))
    index = boundary_index(backbone, spec.unfreeze_from)
    assert 0 < index < len(backbone.layers)
    freeze(backbone, index)
    share = trainable_count(backbone) / backbone.count_params()
    assert 0.05 < share < 0.95


def test_inputs_are_scaled_as_keras_scales_them():
    from finegrain.models.layers import Preprocess

    pixels = np.random.default_rng(0).uniform(0, 255, (2, 5, 5, 3)).astype("float32")
    modules = {
        "xception": "xception",
        "inception_v3": "inception_v3",
        "resnet50": "resnet",
        "inception_resnet_v2": "inception_resnet_v2",
        "vgg16": "vgg16",
        "efficientnet_b0": "efficientnet",
        "mobilenet_v2": "mobilenet_v2",
        "densenet121": "densenet",
        "ResNet101V2": "resnet_v2",
        "VGG19": "vgg19",
        "MobileNet": "mobilenet",
        "NASNetMobile": "nasnet",
        "ConvNeXtTiny": "convnext",
        "EfficientNetV2B0": "efficientnet_v2",
        "MobileNetV3Small": "mobilenet_v3",
        "ResNet152": "resnet",
        "DenseNet201": "densenet",
    }
    for name, module in modules.items():
        expected = getattr(keras.applications, module).preprocess_input(pixels.copy())
        ours = Preprocess(find_backbone(name).preprocessing)(pixels)
        np.testing.assert_allclose(ours, expected, atol=1e-4, err_msg=name)


def test_names_are_forgiving_and_near_names_are_offered():
    assert find_backbone("EfficientNet-B3").image_size == 300
    assert find_backbone("ResNet50V2").preprocessing == "tf"
    with pytest.raises(UserError, match="xception"):
        find_backbone("xceptoin")


def test_weights_go_out_and_in_again(tmp_path):
    spec = find_backbone("mobilenet_v2_0.35")
    keras.utils.set_random_seed(1)
    first = build_backbone(spec, "none", (64, 64))
    first.save_weights(tmp_path / "a.weights.h5")
    again = build_backbone(spec, str(tmp_path / "a.weights.h5"), (96, 96))
    assert weights_digest(again) == weights_digest(first)
    assert weights_digest(build_backbone(spec, "none", (64, 64))) != weights_digest(first)


@pytest.mark.parametrize("other", ["mobilenet_v2", "resnet50"])
def test_weights_of_another_backbone_are_refused(tmp_path, other):
    file = tmp_path / "a.weights.h5"
    build_backbone(find_backbone("mobilenet_v2_0.35"), "none", (64, 64)).save_weights(file)
    with pytest.raises(UserError, match=r"a\.weights\.h5 do not fit"):
        build_backbone(find_backbone(other), str(file), (64, 64))


@pytest.mark.parametrize("content", [b"", b"no weights at all"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, content):
    file = tmp_path / "a.weights.h5"
    file.write_bytes(content)
    with pytest.raises(UserError, match="do not fit"):
        build_backbone(find_backbone("mobilenet_v2_0.35"), str(file), (64, 64))


def test_missing_weights_and_layers_are_named():
    spec = find_backbone("mobilenet_v2_0.35")
    with pytest.raises(UserError, match=r"nowhere\.weights\.h5"):
        build_backbone(spec, "nowhere.weights.h5", (64, 64))
    backbone = build_backbone(spec, "none", (64, 64))
    with pytest.raises(UserError, match="block_13_expand"):
        boundary_index(backbone, "block_13_expnd")
    with pytest.raises(UserError, match="154 layers"):
        boundary_index(backbone, 154)


SIDE = 64


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A weights file with ImageNet's statistics, which Keras takes for its download."""
    keras.utils.set_random_seed(3)
    model = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(SIDE, SIDE, 3)
    )
    norm = next(layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    norm.adapt_mean.assign([0.485, 0.456, 0.406])
    norm.adapt_variance.assign([0.229, 0.224, 0.225])
    file = tmp_path / "b0.weights.h5"
    model.save_weights(file)
    from keras.src.applications import efficientnet

    monkeypatch.setattr(efficientnet.file_utils, "get_file", lambda *a, **k: str(file))
    return file


def test_from_keras_from_a_file_and_from_a_checkpoint(stand_in, tmp_path):
    images = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype("float32")
    keras_own = keras.applications.EfficientNetB0(
        include_top=False, weights="imagenet", input_shape=(SIDE, SIDE, 3)
    )
    expected = np.asarray(keras_own(images))
    spec = find_backbone("efficientnet_b0")
    downloaded = build_backbone(spec, "imagenet", (SIDE, SIDE))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(downloaded(images), expected, atol=1e-4 * scale)
    from_file = build_backbone(spec, str(stand_in), (SIDE, SIDE))
    np.testing.assert_allclose(from_file(images), expected, atol=1e-4 * scale)
    # As stage 3 takes up a run: built without weights, then the checkpoint.
    downloaded.save_weights(tmp_path / "epoch.weights.h5")
    resumed = build_backbone(spec, "none", (SIDE, SIDE))
    assert np.abs(np.asarray(resumed(images)) - expected).max() > 1e-2 * scale
    resumed.load_weights(tmp_path / "epoch.weights.h5")
    np.testing.assert_allclose(resumed(images), expected, atol=1e-4 * scale)


def test_layer_105_and_the_layer_by_name_train_the_same_variables():
    """The recipe's number and name are a layer apart in today's Keras, a sum without weights."""
    model = keras.applications.Xception(weights=None, include_top=False)
    learning = []
    for first in ("105", "block12_sepconv1_act"):
        freeze(model, boundary_index(model, first))
        learning.append([id(variable) for variable in model.trainable_variables])
    assert learning[0] == learning[1]
    assert len(learning[0]) == 15
