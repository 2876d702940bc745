"""Each image head against plain NumPy, at the extremes, and what the table of heads refuses."""

import keras
import numpy as np
import pytest

from finegrain.errors import UserError
from finegrain.models.backbone import BACKBONE_LAYER, build_backbone
from finegrain.models.backbone_table import BackboneSpec, find_backbone
from finegrain.models.classifier import classifier, embedder, softmax_model
from finegrain.models.full_precision import in_full_precision
from finegrain.models.head_size import check_head_fits, dense_weights, embedding_width
from finegrain.models.image_heads import (
    EMBEDDING,
    feature_map,
    find_head,
    head_embedding,
    listed_heads,
)
from finegrain.models.multi_loss import multi_loss_model, same_class

HEADS = sorted(listed_heads())
SHAPE = (5, 4, 16)
SPEC = BackboneSpec("tiny", None, 16, "tf")


def small_head(name):
    return find_head(name, compact=32 if name == "compact_bilinear" else 0)


def head_model(name):
    """Features -> embedding, every weight drawn, as after a training."""
    keras.utils.set_random_seed(3)
    features = keras.Input(SHAPE)
    model = keras.Model(features, head_embedding(features, small_head(name)))
    for variable in model.weights:
        if variable.dtype == "float32":
            # Variances too: at least 0.1.
            values = np.random.normal(0, 0.5, variable.shape)
            variable.assign(np.abs(values) + 0.1 if "variance" in variable.path else values)
    return model


def tiny_backbone(channels=12):
    image = keras.Input((16, 16, 3))
    backbone = keras.Model(image, keras.layers.Conv2D(channels, 4, strides=4)(image))
    backbone.name = BACKBONE_LAYER
    return backbone


def features_like(seed=0):
    return np.random.default_rng(seed).normal(0, 2, (3, *SHAPE)).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def normed(model, features):
    gamma, beta, mean, variance = model.get_layer("head_norm").get_weights()
    return gamma * (features - mean) / np.sqrt(variance + 1e-3) + beta


def masked(model, features):
    """Features times the mask, place by place."""
    features = normed(model, features)
    result = np.empty_like(features)
    names = ("attention_conv1", "attention_conv2", "attention_conv3", "attention_mask")
    for place in np.ndindex(features.shape[:3]):
        x = features[place]
        for name in names:
            kernel, bias = model.get_layer(name).get_weights()
            x = x @ kernel[0, 0] + bias
            x = sigmoid(x) if name == "attention_mask" else relu(x)
        result[place] = features[place] * x
    return result


def slow_plain(model, features):
    return features.mean(axis=(1, 2))


def slow_attention(model, features):
    return masked(model, features).mean(axis=(1, 2))


def slow_bilinear_attention(model, features):
    return (masked(model, features) ** 2).mean(axis=(1, 2))


def slow_se(model, features):
    features = normed(model, features)
    (narrow,), (wide,) = (model.get_layer(f"se_{n}").get_weights() for n in ("narrow", "weight"))
    assert narrow.shape == (16, 2)
    rows = []
    for image in features:
        weight = sigmoid(relu(image.mean(axis=(0, 1)) @ narrow) @ wide)
        rows.append((image * weight).mean(axis=(0, 1)))
    return np.stack(rows)


def slow_cbam(model, features):
    features = normed(model, features)
    (w1, b1), (w2, b2) = (model.get_layer(f"cbam_{n}").get_weights() for n in ("narrow", "wide"))
    (kernel,) = model.get_layer("cbam_place_weight").get_weights()
    assert w1.shape == (16, 2) and kernel.shape == (7, 7, 2, 1)

    def mlp(x):
        return relu(x @ w1 + b1) @ w2 + b2

    rows = []
    for image in features:
        channels = sigmoid(mlp(image.mean(axis=(0, 1))) + mlp(image.max(axis=(0, 1))))
        image = image * channels
        seen = np.stack([image.mean(axis=-1), image.max(axis=-1)], axis=-1)
        padded = np.pad(seen, ((3, 3), (3, 3), (0, 0)))
        places = np.empty(image.shape[:2])
        for row, column in np.ndindex(places.shape):
            window = padded[row : row + 7, column : column + 7]
            places[row, column] = sigmoid((window * kernel[..., 0]).sum())
        rows.append((image * places[..., None]).mean(axis=(0, 1)))
    return np.stack(rows)


def slow_bilinear(model, features):
    rows = []
    for image in features:
        matrix = sum(np.outer(place, place) for place in image.reshape(-1, image.shape[-1]))
        root = np.sign(matrix) * np.sqrt(np.abs(matrix))
        rows.append((root / np.sqrt((root**2).sum())).ravel())
    return np.stack(rows)


def slow_compact_bilinear(model, features):
    layer = model.get_layer("tensor_sketch")
    (buckets_1, buckets_2), (signs_1, signs_2) = (
        [np.asarray(table) for table in tables] for tables in (layer.buckets, layer.signs)
    )
    rows = []
    for image in features:
        sketch = np.zeros(layer.width)
        matrix = sum(np.outer(place, place) for place in image.reshape(-1, image.shape[-1]))
        for i, j in np.ndindex(matrix.shape):
            bucket = (buckets_1[i] + buckets_2[j]) % layer.width
            sketch[bucket] += signs_1[i] * signs_2[j] * matrix[i, j]
        root = np.sign(sketch) * np.sqrt(np.abs(sketch))
        rows.append(root / np.sqrt((root**2).sum()))
    return np.stack(rows)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_gives_the_numbers_of_a_slow_one(name):
    model, features = head_model(name), features_like()
    slow = globals()[f"slow_{name}"](model, features.astype("float64"))
    found = np.asarray(model(features))
    assert found.shape == slow.shape and np.abs(slow).max() > 0.05
    # The root's epsilon shows where a product is almost nothing beside the others.
    atol = 1e-3 if "bilinear" in name else 1e-5
    np.testing.assert_allclose(found, slow, rtol=1e-3, atol=atol)


@pytest.mark.parametrize("name", ["bilinear", "compact_bilinear"])
def test_a_bilinear_embedding_does_not_change_with_the_features_size(name):
    model, features = head_model(name), features_like()
    expected = np.asarray(model(features))
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, rtol=1e-5)
    for factor in (1e-3, 1e15):
        np.testing.assert_allclose(model(features * np.float32(factor)), expected, atol=1e-5)


EXTREMES = {
    "zero": np.zeros((2, *SHAPE)),
    "one channel": np.eye(16)[[0]] * np.ones((2, 5, 4, 1)),
    "as large as float16 goes": np.full((2, *SHAPE), 65504.0),
    "very large": features_like()[:2] * 1e15,
    "zero beside very large": np.stack([np.zeros(SHAPE), features_like()[0] * 1e15]),
    "very small": features_like()[:2] * 1e-20,
}


@pytest.mark.parametrize("name", HEADS)
def test_extreme_features_have_finite_embeddings_and_gradients(name):
    import tensorflow as tf

    model = head_model(name)
    for kind, values in EXTREMES.items():
        features = tf.constant(values, dtype="float32")
        for training in (False, True):
            with tf.GradientTape() as tape:
                tape.watch(features)
                embedding = model(features, training=training)
                loss = tf.reduce_sum(embedding * features_like(1).ravel()[: embedding.shape[1]])
            wanted = [features, *(variable.value for variable in model.trainable_variables)]
            gradients = tape.gradient(loss, wanted)
            for found in (embedding, *gradients):
                assert np.isfinite(found.numpy()).all(), (kind, training)


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
        "image", "preprocess", "backbone", "embedding", "take_partner", "category_dropout",
        "squared_difference", "category", "same_class",
    ]  # fmt: skip
    model = softmax_model(tiny_backbone(), SPEC, 3, 0.5, hidden=4)
    assert [layer.name for layer in model.layers] == [
        "image", "preprocess", "backbone", "embedding", "hidden_dropout", "hidden",
        "category_dropout", "category",
    ]  # fmt: skip
    assert model.get_layer("hidden_dropout").rate == 0.5
    model = softmax_model(tiny_backbone(), SPEC, 3, 0.5, hidden=4, hidden_dropout=0.25)
    assert model.get_layer("hidden_dropout").rate == 0.25
    model = softmax_model(tiny_backbone(), SPEC, 3, 0.5, hidden=4, hidden_dropout=0.0)
    assert "hidden_dropout" not in [layer.name for layer in model.layers]


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
    for part in ("2048 x 2048 = 4,194,304", "4,294,968,320 weights", "68.7 GB", "6 GB given",
                 "compact_bilinear", "--compact N"):  # fmt: skip
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
