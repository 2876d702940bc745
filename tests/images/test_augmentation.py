"""The random changes of an image, against Keras's own draws."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.images.augmentation import Augmentation
from finegrain.images.drop_in import ImageDataGenerator
from finegrain.images.image_changes import WHOLE


def keras_generator(augmentation: Augmentation) -> ImageDataGenerator:
    return ImageDataGenerator(
        rotation_range=augmentation.rotation,
        shear_range=augmentation.shear,
        zoom_range=augmentation.zoom,
        horizontal_flip=augmentation.horizontal_flip,
    )


@settings(max_examples=60, deadline=None)
@given(
    st.just(0.0) | st.floats(0.1, 180),
    st.just(0.0) | st.floats(0.1, 30),
    st.just(0.0) | st.floats(0.05, 0.9),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_draws_are_keras_own_to_the_last_digit(rotation, shear, zoom, flip, seed):
    augmentation = Augmentation(rotation, shear, zoom, flip, brightness=0.3)
    drawn = augmentation.draw(seed)
    expected = keras_generator(augmentation).get_random_transform((9, 9, 3), seed)
    assert [*drawn[:4], drawn.flip] == [
        expected[name] for name in ("theta", "shear", "zx", "zy", "flip_horizontal")
    ]


def test_images_change_as_keras_changes_them():
    image = np.random.default_rng(0).integers(0, 255, (20, 24, 3)).astype(np.uint8)
    generator = keras_generator(Augmentation())
    for seed in range(6):
        expected = generator.random_transform(image.astype(np.float32), seed)
        ours = Augmentation().apply(image, seed)
        assert ours.dtype == np.uint8 and not np.array_equal(ours, image)
        assert np.abs(ours - expected).max() <= 0.52


def test_numpys_own_chance_is_left_alone():
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    Augmentation().apply(np.zeros((4, 4, 3), np.uint8), 11)
    assert np.random.random() == expected


def test_threads_do_not_disturb_each_other():
    image = np.random.default_rng(0).integers(0, 255, (20, 20, 3)).astype(np.uint8)
    augmentation = Augmentation(saturation=0.5)
    alone = [augmentation.apply(image, seed) for seed in range(40)]
    found = {}

    def work(first: int) -> None:
        for seed in range(first, 40, 4):
            found[seed] = augmentation.apply(image, seed)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal([found[seed] for seed in range(40)], alone)


def test_colours_at_zero_are_neither_changed_nor_recorded():
    old = {"rotation": 45.0, "shear": 0.2, "zoom": 0.2, "horizontal_flip": True}
    assert Augmentation().ranges() == old
    assert not Augmentation(0.0, 0.0, 0.0, False).changes_anything
    still = Augmentation(0.0, 0.0, 0.0, False, contrast=0.4)
    assert still.changes_anything and still.changes_colours
    assert still.ranges() == {
        "rotation": 0.0,
        "shear": 0.0,
        "zoom": 0.0,
        "horizontal_flip": False,
        "contrast": 0.4,
    }


def test_a_run_begun_before_there_were_colours_goes_on():
    from dataclasses import asdict

    from finegrain.runs.run_config import completed, defaults_of
    from finegrain.training.stage import Stage

    stage = asdict(Stage("frozen", None, "adam", 1e-3, 2, augmentation=Augmentation(rotation=9.0)))
    before = {**stage, "augmentation": Augmentation(rotation=9.0).ranges()}
    assert completed(before, defaults_of(Stage)) == stage


def test_crops_leave_all_other_draws_as_they_were():
    image = np.random.default_rng(0).integers(0, 255, (20, 24, 3)).astype(np.uint8)
    plain, crops = Augmentation(), Augmentation(crop_area=0.2)
    assert crops.ranges() == {**plain.ranges(), "crop_area": 0.2}
    for seed in range(6):
        assert crops.draw(seed)._replace(crop=WHOLE) == plain.draw(seed)
        assert not np.array_equal(crops.apply(image, seed), plain.apply(image, seed))
    alone = Augmentation(0.0, 0.0, 0.0, False, crop_area=0.2)
    assert alone.changes_anything and not alone.changes_colours


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_share_of_the_images_loses_a_rectangle_to_noise(dtype):
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(dtype)
    plain, some = Augmentation(contrast=0.2), Augmentation(contrast=0.2, erasing=0.3)
    erased = []
    for seed in range(60):
        changed, before = some.apply(image, seed), plain.apply(image, seed)
        assert changed.dtype == dtype and changed.min() >= 0 and changed.max() <= 255
        rows, columns = np.nonzero((changed != before).any(axis=-1))
        erased.append(len(rows) / (40 * 50))
        if len(rows):
            hole = changed[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert hole.shape[0] * hole.shape[1] >= len(rows) > 0.9 * hole.size / 3
            assert 90 < hole.mean() < 165
        np.testing.assert_array_equal(some.apply(image, seed), changed)
    assert 8 <= np.count_nonzero(erased) <= 28 and max(erased) <= 0.45
    alone = Augmentation(0.0, 0.0, 0.0, False, erasing=0.1)
    assert alone.changes_anything and alone.ranges()["erasing"] == 0.1


@pytest.mark.parametrize("colour", ["brightness", "contrast", "saturation"])
def test_colours_change_and_geometry_stays(colour):
    image = np.random.default_rng(0).integers(60, 180, (12, 12, 3)).astype(np.uint8)
    still = Augmentation(**{colour: 0.5})
    assert still.draw(5)[:5] == Augmentation().draw(5)[:5]
    changed = still.apply(image, 5)
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, Augmentation().apply(image, 5))
