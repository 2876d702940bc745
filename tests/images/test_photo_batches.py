"""Batches that depend on nothing but seed, epoch and step."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finegrain.decode import read_pixels
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.images.augmentation import Augmentation
from finegrain.images.batch_changes import Mixup
from finegrain.images.batches import BatchStream, PhotoBatches
from finegrain.images.samplers import in_order

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
    return PhotoBatches(photos, LABELS, 3, Frame(16, 16), **{"batch_size": 4, "seed": 5} | changes)


def test_an_epoch_shows_every_photograph_once_with_its_label(photos):
    batches = make(photos)
    expected = {
        read_pixels(path, Frame(16, 16)).tobytes(): label
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
    batches = make(photos, sampler=in_order)
    labels = np.concatenate([batches.batch(7, step)[1].argmax(axis=1) for step in range(3)])
    assert labels.tolist() == LABELS.tolist()


def test_plain_views_are_the_image_and_its_mirror_image(photos):
    augmentation = Augmentation()
    batches = make(photos, augmentation=augmentation, plain_views=True)
    plain, mirrored, first, second = batches.views(3, [0, 1, 2, 3])
    image = read_pixels(photos[3], Frame(16, 16))
    np.testing.assert_array_equal(plain, image)
    np.testing.assert_array_equal(mirrored, image[:, ::-1])
    # The others are those that there would be without.
    same = make(photos, augmentation=augmentation).views(3, [2, 3])
    np.testing.assert_array_equal([first, second], same)
    # What may not be mirrored is not.
    upright = Augmentation(horizontal_flip=False)
    batches = make(photos, augmentation=upright, plain_views=True)
    np.testing.assert_array_equal(batches.views(3, [0])[0], image)
    same = make(photos, augmentation=upright).views(3, [1])
    np.testing.assert_array_equal(batches.views(3, [1]), same)


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
    stream = BatchStream(batches, first_batch=2, workers=workers)
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
    stream = BatchStream(make([*photos[:-1], broken], sampler=in_order))
    with pytest.raises(UserError, match=r"broken\.jpg can no longer be read"):
        for _ in range(3):
            next(stream)
    assert isinstance(stream.error, UserError)
    stream.close()


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


class Fade:
    """Halves the images and moves some of each label to the next class; remembers its chance."""

    def __init__(self):
        self.drawn = []

    def __call__(self, images, targets, rng):
        self.drawn.append(rng.integers(2**32))
        return images // 2, 0.75 * targets + 0.25 * np.roll(targets, 1, axis=1)


def test_batches_are_changed_one_change_after_the_other(photos):
    fade = Fade()
    plain, changed = make(photos), make(photos, changes=(fade, fade))
    images, targets = plain.batch(1, 2)
    faded, soft = changed.batch(1, 2)
    np.testing.assert_array_equal(faded, images // 4)
    assert soft.dtype == np.float32
    expected = 0.5625 * targets + 0.375 * np.roll(targets, 1, 1) + 0.0625 * np.roll(targets, 2, 1)
    np.testing.assert_allclose(soft, expected)


def test_changes_have_chance_of_their_own_by_seed_epoch_and_step(photos):
    fade = Fade()
    for seed, epoch, step in ((5, 0, 0), (5, 0, 1), (5, 1, 0), (6, 0, 0), (5, 0, 0)):
        make(photos, changes=[fade], seed=seed).batch(epoch, step)
    assert len(set(fade.drawn)) == 4 and fade.drawn[0] == fade.drawn[-1]


def test_soft_labels_reach_the_stream(photos):
    stream = BatchStream(make(photos, changes=[Mixup(1.0)], augmentation=Augmentation()))
    images, targets = next(stream)
    stream.close()
    assert images.dtype == np.uint8 and targets.dtype == np.float32
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    assert ((targets > 0) & (targets < 1)).any()
