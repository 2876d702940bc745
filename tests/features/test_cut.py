"""The two parts of a cut model do together what the whole does."""

import keras
import numpy as np
import pytest

from finegrain.features.cut import cut_above_backbone, cut_at_boundary, cut_at_embedding
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index, build_backbone, freeze
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import softmax_model
from finegrain.models.image_heads import find_head
from finegrain.models.multi_loss import multi_loss_model

# Sides as small as each network takes.
BACKBONES = {
    "xception_small": 64,
    "mobilenet_v2_0.35": 32,
    "inception_v3": 75,
    "efficientnet_b0": 32,
    "resnet50": 32,
}


def build(name, assemble=multi_loss_model):
    spec, side = find_backbone(name), BACKBONES[name]
    keras.utils.set_random_seed(1)
    return assemble(build_backbone(spec, "none", (side, side)), spec, 3), spec


def batch(side):
    images = np.random.default_rng(0).integers(0, 256, (5, side, side, 3)).astype(np.uint8)
    return images, np.array([1, 0, 4, 2, 3], np.int32)


def assert_same(model, cut, images, inputs):
    whole = model.predict_on_batch({"image": images, **inputs} if inputs else images)
    features = cut.below.predict_on_batch(images)
    features = features if isinstance(features, list) else [features]
    parts = cut.above.predict_on_batch(dict(zip(cut.kinds, features, strict=True)) | inputs)
    for one, other in zip(*map(keras.tree.flatten, (whole, parts)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    for feature, kind in zip(features, cut.kinds.values(), strict=True):
        assert feature.shape[1:] == kind.shape


@pytest.mark.parametrize("name", BACKBONES)
def test_cut_inside_any_backbone(name):
    model, spec = build(name)
    backbone = model.get_layer(BACKBONE_LAYER)
    first = boundary_index(backbone, spec.unfreeze_from)
    freeze(backbone, first)
    cut = cut_at_boundary(model, first)
    images, partner = batch(BACKBONES[name])
    assert_same(model, cut, images, {"partner": partner})
    assert not cut.below.trainable_variables
    learning = [variable.path for variable in model.trainable_variables]
    assert [variable.path for variable in cut.above.trainable_variables] == learning
    assert all(kind.dtype == "float16" for kind in cut.kinds.values())


@pytest.mark.parametrize("assemble", [multi_loss_model, softmax_model])
def test_cut_at_the_embedding(assemble):
    model, _ = build("mobilenet_v2_0.35", assemble)
    freeze(model.get_layer(BACKBONE_LAYER), None)
    cut = cut_at_embedding(model)
    images, partner = batch(32)
    assert_same(model, cut, images, {"partner": partner} if assemble is multi_loss_model else {})
    learning = [id(variable) for variable in model.trainable_variables]
    assert [id(variable) for variable in cut.above.trainable_variables] == learning
    assert cut.above.output_names == model.output_names
    assert {name: kind.dtype for name, kind in cut.kinds.items()} == {"embedding": "float16"}


# Head, its compact width, and where the least passes of what stands still.
HEADS = [
    ("plain", 0, "embedding", (1280,)),
    ("attention", 0, "backbone_map", (2, 2, 1280)),
    ("se", 0, "backbone_map", (2, 2, 1280)),
    ("cbam", 0, "backbone_map", (2, 2, 1280)),
    ("bilinear_attention", 0, "backbone_map", (2, 2, 1280)),
    # Nothing of a sketch learns, so it is stored where it is smaller than the map.
    ("bilinear", 640, "embedding", (640,)),
    ("bilinear", 8192, "backbone_map", (2, 2, 1280)),
]


@pytest.mark.parametrize("name,compact,place,shape", HEADS)
def test_cut_above_a_frozen_backbone_below_whatever_learns(name, compact, place, shape):
    spec = find_backbone("mobilenet_v2_0.35")
    keras.utils.set_random_seed(1)
    model = multi_loss_model(
        build_backbone(spec, "none", (64, 64)), spec, 3, hidden=8, head=find_head(name, compact)
    )
    freeze(model.get_layer(BACKBONE_LAYER), None)
    cut = cut_above_backbone(model)
    assert cut.name == place
    assert {kind: row.shape for kind, row in cut.kinds.items()} == {place: shape}
    images, partner = batch(64)
    assert_same(model, cut, images, {"partner": partner})
    assert not cut.below.trainable_variables
    learning = [id(variable) for variable in model.trainable_variables]
    assert [id(variable) for variable in cut.above.trainable_variables] == learning


def test_cut_inside_a_backbone_with_a_head_on_its_map():
    spec = find_backbone("mobilenet_v2_0.35")
    model = softmax_model(build_backbone(spec, "none", (64, 64)), spec, 3, head=find_head("cbam"))
    first = boundary_index(model.get_layer(BACKBONE_LAYER), spec.unfreeze_from)
    freeze(model.get_layer(BACKBONE_LAYER), first)
    cut = cut_at_boundary(model, first)
    assert_same(model, cut, batch(64)[0], {})
    learning = [id(variable) for variable in model.trainable_variables]
    assert [id(variable) for variable in cut.above.trainable_variables] == learning


def test_xception_is_cut_where_one_tensor_passes():
    spec = find_backbone("xception")
    model = softmax_model(build_backbone(spec, "none", (299, 299)), spec, 3)
    backbone = model.get_layer(BACKBONE_LAYER)
    for asked in ("105", spec.unfreeze_from):
        first = boundary_index(backbone, asked)
        freeze(backbone, first)
        cut = cut_at_boundary(model, first)
        assert [kind.shape for kind in cut.kinds.values()] == [(19, 19, 728)]
        (kind,) = cut.kinds.values()
        assert kind.row_bytes == 525_616


def test_nothing_to_cut_when_the_first_layers_learn():
    model, _ = build("mobilenet_v2_0.35")
    freeze(model.get_layer(BACKBONE_LAYER), 0)
    assert cut_at_boundary(model, 0) is None
