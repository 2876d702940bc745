"""One definition of each change: the CPU's and the device's results are the same."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from finegrain.images.image_changes import (
    WHOLE,
    affine,
    crop_box,
    cropped,
    erased,
    erased_box,
    mirrored,
    recoloured,
)
from finegrain.images.warp import warp

COUNT, HEIGHT, WIDTH = 6, 9, 13


def numbers(seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (COUNT, HEIGHT, WIDTH, 3)).astype("float32")
    return images, rng.uniform(0.4, 1.6, (3, COUNT)).astype("float32")


def on_the_device(array):
    return keras.ops.convert_to_tensor(array)


def test_colours_on_the_cpu_and_on_the_device_are_equal():
    images, factors = numbers()
    one_by_one = [
        recoloured(np, image, *of_one) for image, of_one in zip(images, factors.T, strict=True)
    ]
    columns = [on_the_device(column.reshape(-1, 1, 1, 1)) for column in factors]
    batch = keras.ops.convert_to_numpy(recoloured(keras.ops, on_the_device(images), *columns))
    assert batch.min() >= 0 and batch.max() <= 255
    np.testing.assert_allclose(batch, one_by_one, atol=2e-3)
    assert np.abs(batch - images).mean() > 5


def test_maps_on_the_cpu_and_on_the_device_are_equal():
    rng = np.random.default_rng(0)
    theta, shear = rng.uniform(-60, 60, (2, COUNT))
    zoom_x, zoom_y = rng.uniform(0.6, 1.4, (2, COUNT))
    flip = np.arange(COUNT) % 2
    columns = [on_the_device(c.astype("float32")) for c in (theta, shear, zoom_x, zoom_y, flip)]
    rows = affine(keras.ops, *columns[:4], HEIGHT, WIDTH)
    rows = mirrored(rows, 0, WIDTH, columns[4])
    batch = np.array([[keras.ops.convert_to_numpy(number) for number in row] for row in rows])
    for i in range(COUNT):
        one = affine(np, theta[i], shear[i], zoom_x[i], zoom_y[i], HEIGHT, WIDTH)
        one = mirrored(one, 0, WIDTH, bool(flip[i]))
        np.testing.assert_allclose(batch[..., i], one, atol=1e-4)


def slow_affine(theta, shear, zoom_x, zoom_y, height, width, shift_x, shift_y):
    """As Keras has it: a product of matrices."""
    theta, shear = np.deg2rad([theta, shear])
    rotation = [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]]
    shift = [[1, 0, shift_x], [0, 1, shift_y], [0, 0, 1]]
    shearing = [[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]]
    centre = np.array([[1, 0, height / 2 - 0.5], [0, 1, width / 2 - 0.5], [0, 0, 1]])
    product = np.array(rotation) @ shift @ shearing @ np.diag([zoom_x, zoom_y, 1])
    return (centre @ product @ np.linalg.inv(centre))[:2]


def test_the_map_is_the_product_of_keras_matrices():
    rng = np.random.default_rng(0)
    for _ in range(20):
        theta, shear, shift_x, shift_y = rng.uniform(-40, 40, 4)
        drawn = (theta, shear, *rng.uniform(0.5, 2, 2), HEIGHT, WIDTH, shift_x, shift_y)
        np.testing.assert_allclose(affine(np, *drawn), slow_affine(*drawn), atol=1e-9)
    assert affine(np, 0, 0, 1, 1, HEIGHT, WIDTH) == ((1, 0, 0), (0, 1, 0))


@pytest.mark.parametrize("axis,size", [(0, WIDTH), (1, HEIGHT)])
def test_mirrored_turns_places_round(axis, size):
    rows = affine(np, 20.0, 5.0, 0.9, 1.2, HEIGHT, WIDTH)
    place = np.array([3.0, 2.0, 1.0])
    other = place.copy()
    other[axis] = size - 1 - place[axis]
    np.testing.assert_allclose(np.array(mirrored(rows, axis, size, True)) @ place, rows @ other)
    assert mirrored(rows, axis, size, False) == rows


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-6, 0.999), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_crop_lies_inside_with_the_area_that_was_drawn(smallest, draws):
    left, top, width, height = crop_box(np, smallest, draws)
    assert min(left, top) >= -1e-12 and max(left + width, top + height) <= 1 + 1e-12
    assert width * height == pytest.approx(smallest + (1 - smallest) * draws[0])
    assert 3 / 4 - 1e-9 <= width / height <= 4 / 3 + 1e-9


def test_crops_reach_every_edge_and_aspect():
    draws = np.random.default_rng(0).random((4, 4000))
    left, top, width, height = crop_box(np, 0.1, draws)
    assert max(left.min(), top.min()) < 0.01
    assert min((left + width).max(), (top + height).max()) > 0.99
    small = width * height < 0.7
    aspects = np.log(width / height)[small]
    assert aspects.mean() == pytest.approx(0, abs=0.02)
    assert aspects.min() < -0.27 and aspects.max() > 0.27


def test_a_crop_is_pillows():
    pixels = numbers()[0][0].astype("uint8")
    box = (0.2, 0.1, 0.5, 0.7)
    rows = cropped(affine(np, 0, 0, 1, 1, HEIGHT, WIDTH), box, HEIGHT, WIDTH)
    edges = (0.2 * WIDTH, 0.1 * HEIGHT, 0.7 * WIDTH, 0.8 * HEIGHT)
    expected = Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, edges)
    assert np.abs(warp(pixels, rows).astype(int) - np.asarray(expected)).max() <= 1


def test_a_crop_of_everything_changes_no_digit():
    rows = affine(np, 20.0, 5.0, 0.9, 1.2, HEIGHT, WIDTH)
    assert cropped(rows, WHOLE, HEIGHT, WIDTH) == rows


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_what_is_erased_lies_inside_and_is_of_the_papers_sizes(draws):
    left, top, width, height = erased_box(np, draws)
    assert min(left, top) >= -1e-12 and max(left + width, top + height) <= 1 + 1e-12
    assert width * height == pytest.approx(0.02 + 0.38 * draws[0])
    assert 0.3 - 1e-9 <= width / height <= 1 / 0.3 + 1e-9


def slow_erased(image, box, noise):
    """Pixel by pixel."""
    result, (left, top, width, height) = image.copy(), box
    for row, column in np.ndindex(HEIGHT, WIDTH):
        x, y = (column + 0.5) / WIDTH, (row + 0.5) / HEIGHT
        if left < x < left + width and top < y < top + height:
            result[row, column] = noise[row, column]
    return result


def test_erasing_on_the_cpu_and_on_the_device_is_the_slow_loops():
    images, _ = numbers()
    noise, _ = numbers(1)
    boxes = erased_box(np, np.random.default_rng(2).random((4, COUNT)))
    # One of no width erases nothing.
    boxes[2][0] = 0
    slow = [slow_erased(*one) for one in zip(images, np.transpose(boxes), noise, strict=True)]
    ours = [erased(np, *one) for one in zip(images, np.transpose(boxes), noise, strict=True)]
    np.testing.assert_array_equal(ours, slow)
    columns = [on_the_device(one.astype("float32").reshape(-1, 1, 1, 1)) for one in boxes]
    batch = erased(keras.ops, on_the_device(images), columns, on_the_device(noise))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(batch), slow)
    changed = (np.array(slow) != images).any(axis=-1).mean(axis=(1, 2))
    assert changed[0] == 0 and changed[1:].min() > 0


@pytest.mark.parametrize("place,name", list(enumerate(("Brightness", "Contrast", "Color"))))
@pytest.mark.parametrize("factor", [0.6, 1.0, 1.3])
def test_colours_are_those_of_pillow(place, name, factor):
    image = numbers()[0][0].astype("uint8")
    expected = np.asarray(getattr(ImageEnhance, name)(Image.fromarray(image)).enhance(factor))
    factors = [1.0, 1.0, 1.0]
    factors[place] = factor
    # Pillow rounds grey, and cuts decimals off.
    assert np.abs(recoloured(np, image.astype("float32"), *factors) - expected).max() <= 1.6
