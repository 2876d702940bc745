"""Each image head against plain NumPy, and its gradients at the extremes."""

from itertools import pairwise

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.errors import UserError
from finegrain.models.image_heads import find_head, head_embedding, listed_heads
from finegrain.models.layers import GeneralizedMean

# The pooling gem in place of the plain head's mean.
HEADS = sorted([*listed_heads(), "gem"])
SHAPE = (5, 4, 16)


def small_head(name):
    if name == "gem":
        return find_head("plain", pooling="gem")
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
            least = {"variance": 0.1, "power": 2.0}.get(variable.name.split("_")[-1])
            variable.assign(values if least is None else np.abs(values) + least)
    return model


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
        if "attention_fan_out" in [layer.name for layer in model.layers]:
            (kernel,) = model.get_layer("attention_fan_out").get_weights()
            x = x @ kernel[0, 0]
        result[place] = features[place] * x
    return result


def slow_plain(model, features):
    return features.mean(axis=(1, 2))


def slow_gem(model, features):
    (power,) = model.get_layer("embedding").get_weights()
    assert 2 < power < 5
    return (np.maximum(features, 1e-6) ** power).mean(axis=(1, 2)) ** (1 / power)


def slow_attention(model, features):
    return masked(model, features).mean(axis=(1, 2))


def slow_bilinear_attention(model, features):
    return (masked(model, features) ** 2).mean(axis=(1, 2))


def slow_se(model, features):
    features = normed(model, features)
    (narrow, *b1), (wide, *b2) = (
        model.get_layer(f"se_{name}").get_weights() for name in ("narrow", "weight")
    )
    assert narrow.shape == (16, 2)
    rows = []
    for image in features:
        weight = sigmoid(relu(image.mean(axis=(0, 1)) @ narrow + sum(b1)) @ wide + sum(b2))
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


def slow_attention_coded(model, features):
    return slow_attention(model, features)


def slow_bilinear_attention_coded(model, features):
    assert model.get_layer("attention_fan_out").get_weights()[0].shape == (1, 1, 1, 16)
    return slow_bilinear_attention(model, features)


def slow_se_coded(model, features):
    assert len(model.get_layer("se_narrow").get_weights()) == 2
    return slow_se(model, features)


def slow_cbam_coded(model, features):
    return slow_cbam(model, features)


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


@settings(max_examples=20, deadline=None)
@given(powers=st.tuples(st.floats(1, 60), st.floats(1, 60)))
def test_a_generalized_mean_grows_with_its_power_from_mean_to_maximum(powers):
    features = np.abs(features_like())
    pooling = GeneralizedMean()
    pooling.build(features.shape)
    np.testing.assert_array_equal(pooling.power, 3.0)
    found = [features.mean(axis=(1, 2))]
    for power in sorted(powers):
        pooling.power.assign(power)
        found.append(np.asarray(pooling(features)))
    found.append(features.max(axis=(1, 2)))
    for smaller, larger in pairwise(found):
        assert (smaller <= larger + 1e-4).all()


def test_a_generalized_mean_is_refused_where_there_is_no_mean():
    assert find_head("se", pooling="gem").pooling == "gem"
    with pytest.raises(UserError, match="--pooling gem .* which the head bilinear has not"):
        find_head("bilinear", pooling="gem")


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
