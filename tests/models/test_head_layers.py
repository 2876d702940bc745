"""The layers of the image heads against loops in plain NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.models.layers import (
    ChannelStatistics,
    OuterProduct,
    RelativeToLargest,
    SignedSquareRoot,
    TensorSketch,
    UnitLength,
)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 2, shape).astype("float32")


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 6))
def test_outer_product(batch, height, width, channels):
    features = drawn(batch, height, width, channels)
    slow = np.zeros((batch, channels, channels))
    for image in range(batch):
        for row in range(height):
            for column in range(width):
                place = features[image, row, column]
                slow[image] += np.outer(place, place)
    slow = slow.reshape(batch, -1) / (height * width)
    np.testing.assert_allclose(OuterProduct()(features), slow, rtol=1e-4, atol=1e-5)


def test_signed_square_root():
    x = np.array([[-4.0, -1e-2, 0.0, 1e-2, 9.0, 1e30]], dtype="float32")
    slow = [[-2.0, -0.1, 0.0, 0.1, 3.0, 1e15]]
    np.testing.assert_allclose(SignedSquareRoot()(x), slow, rtol=1e-4)
    exact = [[np.sign(one) * np.sqrt(abs(one)) for one in x[0]]]
    np.testing.assert_allclose(SignedSquareRoot(epsilon=1e-12)(x), exact, rtol=1e-5)


def test_the_signed_square_roots_slope_is_steepest_at_zero():
    import tensorflow as tf

    x = tf.constant([0.0, -1e-8, 1e-6, 0.25, -0.25, 1e30])
    with tf.GradientTape() as tape:
        tape.watch(x)
        root = SignedSquareRoot()(x)
    slope = tape.gradient(root, x).numpy()
    assert slope[0] == pytest.approx(1000.0, rel=1e-4)  # 1 / sqrt(1e-6)
    assert (slope[1:] < slope[0]).all() and (slope > 0).all()
    np.testing.assert_allclose(slope[3:5], 1.0, rtol=1e-4)  # 1 / (2 sqrt(0.25))


def test_unit_length():
    x = np.array([[3.0, -4.0], [0.0, 0.0], [1e-4, 0.0], [1e15, 0.0]], dtype="float32")
    np.testing.assert_allclose(UnitLength()(x), [[0.6, -0.8], [0, 0], [1, 0], [1, 0]], rtol=1e-3)


def test_relative_to_largest():
    features = drawn(3, 2, 2, 4)
    features[1] = 0
    features[2] *= 1e30
    relative = np.asarray(RelativeToLargest()(features))
    for image in (0, 2):
        slow = features[image] / np.abs(features[image]).max()
        np.testing.assert_allclose(relative[image], slow, rtol=1e-6)
    assert not relative[1].any()


def test_channel_statistics():
    features = drawn(2, 3, 2, 5)
    found = np.asarray(ChannelStatistics()(features))
    assert found.shape == (2, 3, 2, 2)
    for place in np.ndindex(2, 3, 2):
        expected = [sum(features[place]) / 5, max(features[place])]
        np.testing.assert_allclose(found[place], expected, rtol=1e-5, atol=1e-6)


def tables(layer):
    """Buckets and signs of both count sketches, as built."""
    return [
        (np.asarray(buckets), np.asarray(signs))
        for buckets, signs in zip(layer.buckets, layer.signs, strict=True)
    ]


def count_sketch(vector, buckets, signs, width):
    sketch = np.zeros(width)
    for value, bucket, sign in zip(vector, buckets, signs, strict=True):
        sketch[bucket] += sign * value
    return sketch


def circular_convolution(one, other):
    width = len(one)
    result = np.zeros(width)
    for i in range(width):
        for j in range(width):
            result[(i + j) % width] += one[i] * other[j]
    return result


@pytest.mark.parametrize("width", [1, 2, 7, 16])
def test_tensor_sketch(width):
    layer = TensorSketch(width, seed=3)
    features = drawn(2, 2, 3, 6)
    found = np.asarray(layer(features))
    first, second = tables(layer)
    slow = np.zeros((2, width))
    squeezed = np.zeros((2, width))
    for image, row, column in np.ndindex(2, 2, 3):
        place = features[image, row, column]
        one, other = (count_sketch(place, *table, width) for table in (first, second))
        slow[image] += circular_convolution(one, other) / 6
        # What it stands for: a count sketch of the outer product itself.
        for i, j in np.ndindex(6, 6):
            bucket = (first[0][i] + second[0][j]) % width
            squeezed[image, bucket] += first[1][i] * second[1][j] * place[i] * place[j] / 6
    np.testing.assert_allclose(slow, squeezed, atol=1e-5)
    np.testing.assert_allclose(found, slow, rtol=1e-4, atol=1e-4)


def test_sketches_have_the_outer_products_inner_products_on_average():
    pair = drawn(2, 1, 1, 6, seed=5)
    expected = float(pair[0].ravel() @ pair[1].ravel()) ** 2
    spread = {}
    for width in (16, 128):
        found = []
        for seed in range(60):
            one, other = np.asarray(TensorSketch(width, seed)(pair))
            found.append(one @ other)
        error = np.std(found) / np.sqrt(len(found))
        assert abs(np.mean(found) - expected) < 4 * error
        spread[width] = np.var(found)
    # Eight times the width, an eighth of the variance.
    assert 1 / 24 < spread[128] / spread[16] < 1 / 3


def test_a_sketch_depends_on_its_seed_and_on_nothing_else():
    features = drawn(1, 2, 2, 6)
    keras.utils.set_random_seed(1)
    one = np.asarray(TensorSketch(16, seed=4)(features))
    keras.utils.set_random_seed(2)
    np.testing.assert_array_equal(TensorSketch(16, seed=4)(features), one)
    assert np.abs(np.asarray(TensorSketch(16, seed=5)(features)) - one).max() > 0.1
    # As NumPy's frozen generator has always drawn them.
    layer = TensorSketch(8, seed=0)
    layer.build((None, 1, 1, 6))
    assert tables(layer)[0][0].tolist() == [4, 7, 5, 0, 3, 3]
    assert not layer.trainable_variables


@pytest.mark.parametrize(
    ("layer", "argument"),
    [
        (SignedSquareRoot, "epsilon"),
        (UnitLength, "epsilon"),
        (RelativeToLargest, "floor"),
        (TensorSketch, "width"),
    ],
)
def test_values_that_cannot_be_are_refused(layer, argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be .*Received: {argument}=0"):
        layer(**{argument: 0})
