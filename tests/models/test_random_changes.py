"""The layers that augment, image by image against what the CPU does."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from finegrain.images.augmentation import Augmentation
from finegrain.images.drop_in import ImageDataGenerator
from finegrain.images.image_changes import WHOLE, recoloured
from finegrain.models.layers import RandomAffine, RandomColour, RandomErasing

COUNT = 8
# torch.compile takes a minute.
JIT = keras.backend.backend() != "torch"


def photos(height, width):
    return np.random.default_rng(0).integers(0, 256, (COUNT, height, width, 3)).astype("uint8")


def keras_generator(augmentation):
    return ImageDataGenerator(
        rotation_range=augmentation.rotation,
        shear_range=augmentation.shear,
        zoom_range=augmentation.zoom,
        horizontal_flip=augmentation.horizontal_flip,
    )


def parameters(augmentation, shape):
    generator = keras_generator(augmentation)
    return generator, [generator.get_random_transform(shape, seed) for seed in range(COUNT)]


@pytest.mark.parametrize(
    "augmentation,size",
    [
        (Augmentation(), (33, 33)),
        (Augmentation(180.0, 30.0, 0.5, True), (32, 32)),
        (Augmentation(20.0, 10.0, 0.0, False), (24, 40)),
        (Augmentation(0.0, 0.0, 0.0, True), (5, 7)),
    ],
)
def test_warps_as_image_data_generator_does(augmentation, size):
    images = photos(*size)
    generator, drawn = parameters(augmentation, images[0].shape)
    expected = [
        generator.apply_transform(image.astype("float32"), one)
        for image, one in zip(images, drawn, strict=True)
    ]
    columns = [
        np.array([one[name] for one in drawn], dtype="float32")
        for name in ("theta", "shear", "zx", "zy", "flip_horizontal")
    ]
    warped = RandomAffine().warp(keras.ops.cast(images, "float32"), *columns)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(warped), expected, atol=0.01)
    assert np.abs(np.stack(expected) - images).mean() > 5


def test_draws_from_the_generators_distributions():
    augmentation = Augmentation(30.0, 5.0, 0.25, True)
    layer = RandomAffine(30.0, 5.0, 0.25, True, seed=1)
    drawn = [keras.ops.convert_to_numpy(one).astype(float) for one in layer.draw(4000)]
    generator = keras_generator(augmentation)
    theirs = [generator.get_random_transform((9, 9, 3), seed) for seed in range(4000)]
    names = ("theta", "shear", "zx", "zy", "flip_horizontal")
    for ours, name in zip(drawn, names, strict=True):
        expected = np.array([one[name] for one in theirs], dtype=float)
        low, high = expected.min(), expected.max()
        spread = high - low
        assert ours.min() == pytest.approx(low, abs=0.01 * spread)
        assert ours.max() == pytest.approx(high, abs=0.01 * spread)
        assert ours.mean() == pytest.approx((low + high) / 2, abs=0.03 * spread)
    assert abs(np.corrcoef(drawn[2], drawn[3])[0, 1]) < 0.1


@pytest.mark.parametrize("size", [(33, 33), (24, 40)])
def test_crops_as_the_cpu_does(size):
    images, augmentation = photos(*size), Augmentation(20.0, 5.0, 0.1, True, crop_area=0.3)
    drawn = [augmentation.draw(seed) for seed in range(COUNT)]
    expected = [augmentation.apply(image.astype("float32"), i) for i, image in enumerate(images)]
    columns = [np.array(column, "float32") for column in list(zip(*drawn, strict=True))[:5]]
    crop = tuple(np.array([one.crop for one in drawn], "float32").T)
    warped = RandomAffine().warp(keras.ops.cast(images, "float32"), *columns, crop)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(warped), expected, atol=0.02)


def test_crops_are_drawn_last_and_only_if_asked_for():
    images = photos(16, 16)
    plain, crops = RandomAffine(seed=3), RandomAffine(crop_area=0.3, seed=3)
    for ours, theirs in zip(crops.draw(5), plain.draw(5), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    state = keras.ops.convert_to_numpy(plain.seed_generator.state)
    assert plain.draw_crop(5) == WHOLE
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(plain.seed_generator.state), state)
    left, top, width, height = (keras.ops.convert_to_numpy(one) for one in crops.draw_crop(4000))
    area = width * height
    assert 0.3 <= area.min() < 0.31 and 0.99 < area.max() <= 1.001
    assert area.mean() == pytest.approx(0.65, abs=0.02)
    assert min(left.min(), top.min()) > -1e-5 and (left + width).max() < 1.00001
    assert crops(images, training=True).shape == images.shape
    assert crops.get_config()["crop_area"] == 0.3


def small_model(layer):
    image = keras.Input((16, 16, 3), name="image")
    return keras.Model(image, layer(image))


def test_changes_images_in_training_only_and_by_its_seed():
    images, layer = photos(16, 16), RandomAffine(seed=3)
    plain = keras.ops.convert_to_numpy(layer(images, training=False))
    np.testing.assert_array_equal(plain, images)
    assert plain.dtype == np.float32
    state = keras.ops.convert_to_numpy(layer.seed_generator.state)
    first, second = (keras.ops.convert_to_numpy(layer(images, training=True)) for _ in range(2))
    assert np.abs(first - second).mean() > 5
    assert first.min() >= 0 and first.max() <= 255
    layer.seed_generator.state.assign(state)
    again = keras.ops.convert_to_numpy(layer(images, training=True))
    np.testing.assert_array_equal(again, first)


def test_works_inside_fit_with_short_batches_under_mixed_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = RandomAffine(seed=3)
        assert layer.compute_dtype == "float32"
        model = small_model(layer)
        outputs = keras.layers.GlobalAveragePooling2D(dtype="float32")(model.output)
        model = keras.Model(model.input, keras.layers.Dense(1, dtype="float32")(outputs))
        model.compile("sgd", "mse", jit_compile=JIT)
        model.fit(photos(16, 16), np.zeros((COUNT, 1)), batch_size=5, epochs=1, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    images = photos(16, 16).astype("float32")
    np.testing.assert_allclose(
        loaded.predict_on_batch(images), model.predict_on_batch(images), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("wrong", [{"zoom": 1.0}, {"rotation": -1.0}, {"crop_area": 1.0}])
def test_ranges_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="Received: rotation="):
        RandomAffine(**wrong)


def test_colours_change_within_their_ranges_in_training_only(tmp_path):
    images = np.random.default_rng(0).integers(60, 180, (400, 6, 6, 3)).astype("uint8")
    layer = RandomColour(brightness=0.3, seed=2)
    np.testing.assert_array_equal(layer(images, training=False), images)
    changed = keras.ops.convert_to_numpy(layer(images, training=True))
    assert changed.dtype == np.float32
    factors = (changed / images).mean(axis=(1, 2, 3))
    assert 0.7 <= factors.min() < 0.72 and 1.28 < factors.max() <= 1.3
    expected = [
        recoloured(np, image * factor, 1, 1, 1)
        for image, factor in zip(images, factors, strict=True)
    ]
    np.testing.assert_allclose(changed, expected, rtol=1e-4)
    for one in (RandomColour(contrast=0.5, seed=2), RandomColour(saturation=0.5, seed=2)):
        assert np.abs(keras.ops.convert_to_numpy(one(images, training=True)) - images).mean() > 3
    model = small_model(RandomColour(0.1, 0.2, 0.3, seed=4))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()
    with pytest.raises(ValueError, match="from 0 to 1"):
        RandomColour(contrast=1.5)


def test_erases_a_share_of_the_images_in_training_only(tmp_path):
    images = np.zeros((400, 20, 20, 3), "uint8")
    layer = RandomErasing(0.25, seed=2)
    np.testing.assert_array_equal(layer(images, training=False), images)
    changed = keras.ops.convert_to_numpy(layer(images, training=True))
    assert changed.dtype == np.float32 and changed.min() >= 0 and changed.max() <= 255
    areas = (changed > 0).any(axis=-1).mean(axis=(1, 2))
    assert 0.18 < (areas > 0).mean() < 0.32
    assert areas.max() < 0.45 and areas[areas > 0].mean() == pytest.approx(0.21, abs=0.05)
    assert changed[changed > 0].mean() == pytest.approx(127.5, abs=3)
    model = small_model(RandomErasing(0.5, seed=4))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()
    with pytest.raises(ValueError, match="from 0 to 1"):
        RandomErasing(1.5)


def test_jax_warps_alike():
    if importlib.util.find_spec("jax") is None or keras.backend.backend() != "tensorflow":
        pytest.skip("jax is not installed, or runs already")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            __file__,
            "-k",
            "image_data_generator or the_cpu_does or training_only",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert done.returncode == 0 and "9 passed" in done.stdout, done.stdout
