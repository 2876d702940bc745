"""The weights that ship with the project: small, and worth more than none."""

from pathlib import Path

import keras
import numpy as np
import pytest

from finegrain.drawn.breed import demo_breeds
from finegrain.drawn.photo import draw_photo
from finegrain.evaluation.embedding_measures import linear_probe
from finegrain.models import networks
from finegrain.models.networks import XceptionSmall

WEIGHTS = Path(networks.__file__).parent / "weights" / "xception_small.weights.h5"


@pytest.fixture(scope="module")
def photos() -> tuple[np.ndarray, np.ndarray]:
    """Twenty pictures of the first breed of each family, (80, 128, 128, 3) in [-1, 1]."""
    labels = np.repeat(np.arange(4), 20)
    pictures = [
        draw_photo(demo_breeds()[3 * label], np.random.default_rng([9, i])).resize((128, 128))
        for i, label in enumerate(labels)
    ]
    return np.stack([np.asarray(p, "float32") for p in pictures]) / 127.5 - 1, labels


def score(backbone: keras.Model, photos: tuple[np.ndarray, np.ndarray]) -> float:
    images, labels = photos
    features = backbone.predict(images, batch_size=40, verbose=0).mean(axis=(1, 2))
    return linear_probe(features, labels, learn=np.arange(len(labels)) % 2 == 0)


def test_file_is_at_most_four_megabytes():
    assert WEIGHTS.stat().st_size <= 4_000_000


def test_pretrained_features_tell_families_apart_and_random_ones_do_not(photos):
    keras.utils.set_random_seed(1)
    assert score(XceptionSmall(weights=WEIGHTS), photos) > 0.9
    assert score(XceptionSmall(), photos) < 0.75
