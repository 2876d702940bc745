"""Batches that depend on nothing but seed, epoch and step."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from finegrain.decode import read_pixels
from finegrain.errors import UserError
from finegrain.images.augment import Augmentation, SeededTransform
from finegrain.images.batch_order import balanced_batches, shuffled_batches
from finegrain.images.fused_generator import ImageDataGenerator
from finegrain.images.photo_batches import PhotoBatches
from finegrain.images.photo_stream import PhotoStream

LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    paths = []
    for number in range(len(LABELS)):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


def make(photos, **changes) -> PhotoBatches:
    return PhotoBatches(photos, LABELS, 3, (16, 16), **{"batch_size": 4, "seed": 5} | changes)


def test_an_epoch_shows_every_photograph_once_with_its_label(photos):
    batches = make(photos)
    expected = {
        read_pixels(path, (16, 16)).tobytes(): label
        for path, label in zip(photos, LABELS, strict=True)
    }
    seen = {}
    for step in range(batches.steps()):
        images, one_hot = batches.batch(0, step)
        assert images.dtype == np.uint8 and one_hot.dtype == np.float32
        for image, label in zip(images, one_hot.argmax(axis=1), strict=True):
            seen[image.tobytes()] = label
    assert seen == expected


def test_without_shuffling_the_order_is_that_of_the_paths(photos):
    batches = make(photos, shuffle=False)
    labels = np.concatenate([batches.batch(7, step)[1].argmax(axis=1) for step in range(3)])
    assert labels.tolist() == LABELS.tolist()


def test_epochs_differ_and_repeat_with_the_seed(photos):
    augmentation = Augmentation()
    first, again = (make(photos, augmentation=augmentation) for _ in range(2))
    other = make(photos, augmentation=augmentation, seed=6)
    np.testing.assert_array_equal(first.batch(2, 1)[0], again.batch(2, 1)[0])
    assert not np.array_equal(first.batch(2, 1)[0], first.batch(3, 1)[0])
    assert not np.array_equal(first.batch(2, 1)[0], other.batch(2, 1)[0])


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stream_gives_the_batches_in_order_from_anywhere(photos, workers):
    batches = make(photos, augmentation=Augmentation())
    stream = PhotoStream(batches, first_batch=2, workers=workers)
    for number in range(2, 9):
        images, labels = next(stream)
        expected_images, expected_labels = batches.batch(number // 3, number % 3)
        np.testing.assert_array_equal(images, expected_images)
        np.testing.assert_array_equal(labels, expected_labels)
    stream.close()
    assert list(stream) == []


def test_a_photograph_gone_bad_is_named(photos, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a picture")
    stream = PhotoStream(make([*photos[:-1], broken], shuffle=False))
    with pytest.raises(UserError, match=r"broken\.jpg can no longer be read"):
        for _ in range(3):
            next(stream)
    assert isinstance(stream.error, UserError)
    stream.close()


def test_transforms_draw_as_keras_does_and_leave_numpys_chance_alone():
    image = np.random.default_rng(0).integers(0, 255, (20, 20, 3)).astype(np.uint8)
    generator = Augmentation().generator()
    np.random.seed(3)
    ours = SeededTransform(generator)(image, 11)
    after = np.random.random()
    np.random.seed(3)
    assert np.random.random() == after
    parameters = generator.get_random_transform(image.shape, 11)
    expected = ImageDataGenerator().apply_transform(image.astype(np.float32), parameters)
    assert ours.dtype == np.uint8
    assert np.abs(ours - expected).max() <= 0.52
    assert not np.array_equal(ours, image)


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 99))
def test_shuffled_batches_are_a_permutation(count, batch_size, seed):
    batches = shuffled_batches(count, batch_size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=60),
    st.integers(2, 12),
    st.integers(2, 4),
    st.integers(0, 99),
)
def test_balanced_batches_hold_k_of_each_class(labels, batch_size, per_class, seed):
    labels = np.array(labels)
    batches = balanced_batches(labels, batch_size, per_class, np.random.default_rng(seed))
    for batch in batches:
        counts = np.unique(labels[batch], return_counts=True)[1]
        assert set(counts) == {per_class}
        assert len(counts) <= max(1, batch_size // per_class)
    assert set(np.concatenate(batches).tolist()) == set(range(len(labels)))
    again = balanced_batches(labels, batch_size, per_class, np.random.default_rng(seed + 1))
    assert len(again) == len(batches)


def test_a_model_makes_no_difference_between_bytes_and_floats(photos):
    import keras

    from finegrain.models.layers import Preprocess

    def numbers(dtype) -> list[float]:
        keras.utils.set_random_seed(0)
        image = keras.Input((16, 16, 3), name="image")
        pooled = keras.layers.GlobalAveragePooling2D()(Preprocess("tf")(image))
        model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(pooled))
        model.compile("sgd", "categorical_crossentropy")
        images, labels = make(photos, augmentation=Augmentation()).batch(0, 0)
        images = images.astype(dtype)
        loss = model.train_on_batch({"image": images}, labels)
        stream = (({"image": images}, labels) for _ in range(2))
        fitted = model.fit(stream, steps_per_epoch=2, verbose=0)
        answers = np.asarray(model.predict_on_batch(images)).ravel().tolist()
        return [float(loss), *fitted.history["loss"], *answers]

    assert numbers(np.uint8) == numbers(np.float32)
