"""Models with each image head: their parts, their precision, their size, and what is refused."""

import keras
import numpy as np
import pytest

from finegrain.errors import UserError
from finegrain.features.cut import cut_above_backbone
from finegrain.models.backbone import BACKBONE_LAYER, build_backbone, freeze
from finegrain.models.backbone_table import BackboneSpec, find_backbone
from finegrain.models.classifier import (
    answering_model,
    classifier,
    embedder,
    representation,
    softmax_model,
)
from finegrain.models.heads import EMBEDDING
from finegrain.models.image_heads import feature_map, find_head, listed_heads
from finegrain.models.model_precision import in_full_precision
from finegrain.models.multi_loss import multi_loss_model, same_class
from finegrain.models.needed_memory import check_head_fits, dense_weights, embedding_width
from finegrain.training.objectives import find_objective

HEADS = sorted(listed_heads())
SPEC = BackboneSpec("tiny", None, 16, "tf")


def small_head(name):
    return find_head(name, compact=32 if name == "compact_bilinear" else 0)


def tiny_backbone(channels=12):
    image = keras.Input((16, 16, 3))
    backbone = keras.Model(image, keras.layers.Conv2D(channels, 4, strides=4)(image))
    backbone.name = BACKBONE_LAYER
    return backbone


@pytest.mark.parametrize(
    ("name", "backbone"), [*((name, "tiny") for name in HEADS), ("se", "mobilenet_v2_0.35")]
)
def test_a_head_on_a_backbone_has_all_models_that_a_plain_one_has(name, backbone):
    keras.utils.set_random_seed(0)
    spec, network, side = SPEC, tiny_backbone(), 16
    if backbone != "tiny":
        spec, side = find_backbone(backbone), 32
        network = build_backbone(spec, "none", (side, side))
    head = find_head(name)
    model = multi_loss_model(network, spec, 3, head=head)
    model.get_layer("same_class").bias.assign([0.0, 1.0])
    images = np.random.default_rng(0).uniform(0, 255, (4, side, side, 3)).astype("float32")
    partner = np.array([1, 0, 3, 2])
    answer = model({"image": images, "partner": partner})
    embedding = np.asarray(embedder(model)(images))
    channels = network.output_shape[-1]
    assert embedding.shape == (4, embedding_width(head, channels))
    np.testing.assert_allclose(classifier(model)(images), answer["category"], atol=1e-5)
    pair = same_class(model)([images, images[partner]])
    np.testing.assert_allclose(pair, answer["same_class"], atol=1e-5)
    assert feature_map(model).shape == network.output_shape
    above = keras.Model(feature_map(model), model.get_layer(EMBEDDING).output)
    features = network(model.get_layer("preprocess")(images))
    np.testing.assert_allclose(above(features), embedding, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_under_mixed_precision_computes_and_is_saved_in_float32(name):
    images = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype("float32")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = softmax_model(tiny_backbone(), SPEC, 3, head=small_head(name))
    finally:
        keras.config.set_dtype_policy("float32")
    for layer in model.layers:
        if layer.name not in (BACKBONE_LAYER, "image"):
            assert layer.compute_dtype == "float32", layer.name
    full = in_full_precision(model)
    assert full.get_layer(BACKBONE_LAYER).dtype_policy.name == "float32"
    np.testing.assert_allclose(full(images), model(images), atol=0.03)


def test_the_plain_model_is_what_it_was_before_there_were_heads():
    model = multi_loss_model(tiny_backbone(), SPEC, 3)
    assert [layer.name for layer in model.layers if layer.name != "partner"] == [
        "image",
        "preprocess",
        "backbone",
        "embedding",
        "take_partner",
        "category_dropout",
        "squared_difference",
        "category",
        "same_class",
    ]
    model = softmax_model(tiny_backbone(), SPEC, 3, 0.5, hidden=4)
    assert [layer.name for layer in model.layers] == [
        "image",
        "preprocess",
        "backbone",
        "embedding",
        "hidden_dropout",
        "hidden",
        "category_dropout",
        "category",
    ]
    assert model.get_layer("hidden_dropout").rate == 0.5
    model = softmax_model(tiny_backbone(), SPEC, 3, 0.5, hidden=4, hidden_dropout=0.25)
    assert model.get_layer("hidden_dropout").rate == 0.25
    model = softmax_model(tiny_backbone(), SPEC, 3, 0.5, hidden=4, hidden_dropout=0.0)
    assert "hidden_dropout" not in [layer.name for layer in model.layers]


def test_a_neck_stands_between_embedding_and_softmax_and_images_are_compared_behind_it():
    keras.utils.set_random_seed(0)
    head = find_head("plain", pooling="gem")
    model = softmax_model(tiny_backbone(), SPEC, 3, neck="bn", head=head)
    neck = model.get_layer("neck")
    neck.gamma.assign(np.arange(1, 13))
    neck.moving_mean.assign(np.linspace(0, 1, 12))
    assert not neck.center and representation(model) == "neck"
    images = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype("float32")
    embedding = np.asarray(embedder(model)(images))
    normed = (embedding - neck.moving_mean.numpy()) / np.sqrt(1 + neck.epsilon)
    probabilities, compared = answering_model(model)(images)
    np.testing.assert_allclose(compared, normed * np.arange(1, 13), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.get_layer("category")(compared), probabilities, atol=1e-5)
    # A pair head, and losses of pairs, see what stands before it.
    pairs = multi_loss_model(tiny_backbone(), SPEC, 3, neck="bn")
    assert representation(pairs) == "embedding"
    difference = pairs.get_layer("take_partner").input[0]
    assert difference is pairs.get_layer("embedding").output
    hidden = softmax_model(tiny_backbone(), SPEC, 3, hidden=5, neck="bn")
    assert representation(hidden) == "hidden"


def test_a_frozen_backbone_leaves_the_neck_free_and_a_cut_holds_all_that_learns():
    backbone = keras.Sequential([tiny_backbone(), keras.layers.BatchNormalization()])
    image = keras.Input((16, 16, 3))
    backbone = keras.Model(image, backbone(image), name=BACKBONE_LAYER)
    head = find_head("plain", pooling="gem")
    model = find_objective("triplet").model(backbone, SPEC, 3, neck="bn", head=head)
    freeze(backbone, None)
    learning = {variable.path for variable in model.trainable_variables}
    assert learning == {"embedding/power", "neck/gamma", "category/kernel", "category/bias"}
    cut = cut_above_backbone(model)
    assert cut.name == "backbone_map"
    assert cut.above.trainable_variables == model.trainable_variables
    finished = find_objective("triplet").finished(model)
    assert finished.output_names == ["category"] and representation(finished) == "neck"


@pytest.mark.parametrize("name", HEADS)
def test_the_size_a_head_says_is_the_size_it_has(name):
    head = small_head(name)
    model = softmax_model(tiny_backbone(), SPEC, 3, hidden=7, head=head)
    assert model.get_layer(EMBEDDING).output.shape[-1] == embedding_width(head, 12)
    assert model.get_layer("hidden").count_params() == dense_weights(head, 12, 7)


def test_an_outer_product_that_cannot_fit_is_refused_by_its_size():
    too_large = find_head("bilinear")
    with pytest.raises(UserError) as refused:
        softmax_model(tiny_backbone(2048), SPEC, 200, hidden=1024, head=too_large)
    message = str(refused.value)
    # (2048 * 2048 + 1) * 1024 weights of 16 bytes.
    for part in (
        "2048 x 2048 = 4,194,304",
        "4,294,968,320 weights",
        "68.7 GB",
        "6 GB given",
        "compact_bilinear",
        "--compact N",
    ):
        assert part in message
    with pytest.raises(UserError, match="4,294,968,320"):
        multi_loss_model(tiny_backbone(2048), SPEC, 200, hidden=1024, head=too_large)
    check_head_fits(too_large, 2048, 1024, memory_gb=80)
    # VGG16's fits: 512 * 512 products.
    check_head_fits(too_large, 512, 1024)
    check_head_fits(find_head("bilinear", compact=8192), 2048, 1024)


def test_a_compact_width_squeezes_a_bilinear_head_and_no_other():
    assert embedding_width(find_head("bilinear", compact=100), 2048) == 100
    assert find_head("compact-bilinear", 100) == find_head("Compact_Bilinear", compact=100)
    assert embedding_width(find_head("compact_bilinear"), 2048) == 8192
    with pytest.raises(UserError, match="--compact 64 squeezes an outer product, which .* se "):
        find_head("se", compact=64)
    with pytest.raises(UserError, match="--compact must not be negative, but is -1"):
        find_head("bilinear", compact=-1)


def test_an_unknown_head_is_answered_with_the_nearest_names():
    with pytest.raises(UserError, match="no head named 'bilinaer'; did you mean bilinear"):
        find_head("bilinaer")
    with pytest.raises(UserError, match="known: plain, attention, se, cbam, bilinear"):
        find_head("xyz")


def test_a_softmax_from_zero_takes_all_classes_for_alike():
    model = softmax_model(tiny_backbone(), SPEC, 3, from_zero=True)
    answers = keras.ops.convert_to_numpy(model(np.full((2, *model.input_shape[1:]), 9.0)))
    np.testing.assert_allclose(answers, 1 / 3, rtol=1e-6)
