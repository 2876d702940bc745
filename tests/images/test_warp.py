"""One warp for all changes, against Keras's own way: channel by channel, with SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.images.drop_in import (
    GEOMETRY,
    SHIFTS,
    FusedImageDataGenerator,
    ImageDataGenerator,
)
from finegrain.images.image_changes import affine
from finegrain.images.warp import can_warp

# Of 255, where a transform reaches no further than 600 pixels; stated in the generator's docstring.
TOLERANCE = 0.02
ROUNDING = 0.5


def rows_of(parameters: dict, height: int, width: int):
    drawn = [parameters.get(name, rest) for name, rest in GEOMETRY.items()]
    shifts = [parameters.get(name, rest) for name, rest in SHIFTS.items()]
    return affine(np, *drawn, height, width, *shifts)


def reach(parameters: dict, height: int, width: int) -> float:
    """Pixels, at least 600, between the image's corner and the furthest position looked up."""
    terms = np.abs(rows_of(parameters, height, width)) * [width, height, 1]
    return max(600.0, float(terms.sum(axis=1).max()))


def assert_agrees(image, parameters, **generator) -> None:
    """As float32 and as uint8."""
    original = ImageDataGenerator(**generator)
    fused = FusedImageDataGenerator(**generator)
    expected = original.apply_transform(image.astype(np.float32), parameters)
    if generator.get("fill_mode") == "constant":
        # On the very edge, which side a position falls on is for the last bit to say.
        expected = np.where(on_the_edge(parameters, *image.shape[:2]), np.nan, expected)
    allowed = TOLERANCE * reach(parameters, *image.shape[:2]) / 600
    for dtype, tolerance in ((np.float32, allowed), (np.uint8, allowed + ROUNDING)):
        before = image.astype(dtype)
        ours = fused.apply_transform(before, parameters)
        assert ours.dtype == dtype and ours.shape == image.shape
        assert np.nanmax(np.abs(ours - expected), initial=0) <= tolerance
        np.testing.assert_array_equal(before, image)


def on_the_edge(parameters: dict, height: int, width: int) -> np.ndarray:
    """(H, W, 1) bool, a slow way of telling positions on the border of what SciPy draws."""
    rows = np.array(rows_of(parameters, height, width))
    edge = np.zeros((height, width), bool)
    if np.array_equal(rows, [[1, 0, 0], [0, 1, 0]]):
        return edge[..., None]
    for row in range(height):
        for column in range(width):
            x, y = rows @ [column, row, 1]
            edge[row, column] = min(abs(y), abs(x), abs(y - height + 1), abs(x - width + 1)) < 1e-9
    if parameters.get("flip_horizontal"):
        edge = edge[:, ::-1]
    if parameters.get("flip_vertical"):
        edge = edge[::-1]
    return edge[..., None]


PARAMETERS = st.fixed_dictionaries(
    {
        "theta": st.sampled_from([0, 90]) | st.floats(-180, 180),
        "tx": st.sampled_from([0, 3]) | st.floats(-60, 60),
        "ty": st.sampled_from([0, -2]) | st.floats(-60, 60),
        "shear": st.just(0) | st.floats(-60, 60),
        "zx": st.just(1) | st.floats(0.3, 3),
        "zy": st.just(1) | st.floats(0.3, 3),
        "flip_horizontal": st.booleans(),
        "flip_vertical": st.booleans(),
    }
)


@settings(max_examples=300, deadline=None)
@given(
    parameters=PARAMETERS,
    shape=st.tuples(st.integers(1, 33), st.integers(1, 33), st.sampled_from([1, 2, 3, 4, 5])),
    fill_mode=st.sampled_from(["nearest", "reflect", "constant", "wrap"]),
    cval=st.sampled_from([0.0, 17.0]),
    seed=st.integers(0, 99),
)
def test_any_transform_of_any_image_agrees(parameters, shape, fill_mode, cval, seed):
    image = np.random.default_rng(seed).integers(0, 256, shape)
    assert_agrees(image, parameters, fill_mode=fill_mode, cval=cval)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rotation=st.just(0) | st.floats(0, 180),
    shifts=st.tuples(*[st.sampled_from([0.0, 0.3, 3.0, 5, [2, 7]])] * 2),
    shear=st.just(0) | st.floats(0, 45),
    zoom=st.sampled_from([0.0, 0.2, (0.5, 1.5)]),
    flips=st.tuples(st.booleans(), st.booleans()),
    fill_mode=st.sampled_from(["nearest", "reflect", "constant", "wrap"]),
    first=st.booleans(),
)
def test_any_generator_draws_the_same_parameters_and_agrees(
    seed, rotation, shifts, shear, zoom, flips, fill_mode, first
):
    ranges = dict(
        rotation_range=rotation,
        height_shift_range=shifts[0],
        width_shift_range=shifts[1],
        shear_range=shear,
        zoom_range=zoom,
        horizontal_flip=flips[0],
        vertical_flip=flips[1],
        fill_mode=fill_mode,
        cval=9.0,
    )
    shape = (23, 31, 3)
    drawn = ImageDataGenerator(**ranges).get_random_transform(shape, seed)
    assert FusedImageDataGenerator(**ranges).get_random_transform(shape, seed) == drawn
    image = np.random.default_rng(seed).integers(0, 256, shape)
    assert_agrees(image, drawn, **ranges)
    if first and fill_mode != "constant":
        ranges["data_format"] = "channels_first"
        turned = np.moveaxis(image, -1, 0).astype(np.float32)
        expected = ImageDataGenerator(**ranges).random_transform(turned, seed)
        ours = FusedImageDataGenerator(**ranges).random_transform(turned, seed)
        assert np.abs(ours - expected).max() <= TOLERANCE


@pytest.mark.parametrize("fill_mode", ["nearest", "reflect", "constant"])
@pytest.mark.parametrize("size", [(299, 299), (200, 300)])
def test_noise_as_large_as_a_models_input_agrees(fill_mode, size):
    ranges = dict(
        rotation_range=45,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=20,
        zoom_range=0.3,
        horizontal_flip=True,
        vertical_flip=True,
    )
    generator = FusedImageDataGenerator(**ranges, fill_mode=fill_mode)
    rng = np.random.default_rng(0)
    for seed in range(3):
        image = rng.integers(0, 256, (*size, 3))
        drawn = generator.get_random_transform(image.shape, seed)
        assert reach(drawn, *size) <= 1200
        assert_agrees(image, drawn, fill_mode=fill_mode)


def test_photographs_agree_image_by_image(shared):
    from finegrain.decode import read_pixels
    from finegrain.frame import Frame

    generator = FusedImageDataGenerator(
        rotation_range=45, shear_range=0.2, zoom_range=0.2, horizontal_flip=True
    )
    for number, path in enumerate(sorted((shared / "data/dogs/train").iterdir())[:30]):
        image = read_pixels(path, Frame(299, 299))
        drawn = generator.get_random_transform(image.shape, number)
        assert_agrees(image, drawn)


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint16])
def test_other_kinds_of_numbers_go_keras_way(dtype):
    image = np.random.default_rng(0).integers(0, 256, (12, 15, 3)).astype(dtype)
    parameters = {"theta": 20.0, "flip_horizontal": True}
    assert not can_warp(image, "nearest", 1)
    ours = FusedImageDataGenerator().apply_transform(image, parameters)
    expected = ImageDataGenerator().apply_transform(image, parameters)
    np.testing.assert_array_equal(ours, expected)
    assert ours.dtype == expected.dtype


@pytest.mark.parametrize("order", [0, 3])
def test_other_interpolations_go_keras_way(order):
    image = np.random.default_rng(0).random((12, 15, 3), np.float32)
    parameters = {"theta": 20.0}
    ours, expected = (
        kind(interpolation_order=order).apply_transform(image, parameters)
        for kind in (FusedImageDataGenerator, ImageDataGenerator)
    )
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("parameters", [{}, {"flip_vertical": True}, {"theta": 0, "zx": 1}])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_where_there_is_nothing_to_interpolate_pixels_stay_as_they_are(parameters, dtype):
    image = np.random.default_rng(0).integers(0, 256, (9, 14, 3)).astype(dtype)
    ours = FusedImageDataGenerator().apply_transform(image, parameters)
    expected = image[::-1] if parameters.get("flip_vertical") else image
    np.testing.assert_array_equal(ours, expected)


@settings(max_examples=60, deadline=None)
@given(
    parameters=PARAMETERS,
    shift=st.none() | st.floats(-100, 100),
    brightness=st.none() | st.floats(0.2, 2),
    seed=st.integers(0, 9),
)
def test_channel_shift_and_brightness_come_on_top(parameters, shift, brightness, seed):
    parameters |= {"channel_shift_intensity": shift, "brightness": brightness}
    image = np.random.default_rng(seed).integers(0, 256, (14, 11, 3))
    expected = ImageDataGenerator().apply_transform(image.astype(np.float32), parameters)
    # Keras cuts decimals off before and after it multiplies by the brightness.
    steps = 0 if brightness is None else 1 + brightness
    for dtype, tolerance in ((np.float32, TOLERANCE), (np.uint8, 2 * ROUNDING + TOLERANCE)):
        ours = FusedImageDataGenerator().apply_transform(image.astype(dtype), parameters)
        assert ours.dtype == dtype
        assert np.abs(ours - expected).max() <= tolerance + steps
