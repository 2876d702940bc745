"""Drawn photographs as arrays agree with the files and with the breeds' parts."""

import numpy as np

from finegrain.decode import read_pixels
from finegrain.drawn.arrays import draw_arrays, part_targets
from finegrain.drawn.breed import PARTS, pretraining_breeds
from finegrain.drawn.collection import write_photos


def test_arrays_hold_the_pictures_breed_by_breed(tmp_path):
    breeds = pretraining_breeds(3)
    images, labels = draw_arrays(tmp_path / "photos", breeds, 2, 40, seed=1)
    assert images.shape == (6, 40, 40, 3) and images.dtype == np.uint8
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    names = [name for name, _ in write_photos(tmp_path / "again", breeds, 2, seed=1)]
    for image, name in zip(images, names, strict=True):
        np.testing.assert_array_equal(image, read_pixels(tmp_path / "again" / name, (40, 40)))


def test_targets_name_the_parts_of_each_breed():
    breeds = pretraining_breeds(20)
    labels = np.array([3, 0, 19, 3])
    answers = part_targets(breeds, labels)
    assert set(answers) == {"breed", *PARTS}
    assert answers["breed"].argmax(axis=1).tolist() == labels.tolist()
    for part, choices in PARTS.items():
        named = [choices[i] for i in answers[part].argmax(axis=1)]
        assert named == [getattr(breeds[label], part) for label in labels]
        assert (answers[part].sum(axis=1) == 1).all()
