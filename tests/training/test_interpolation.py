"""Weights between the first and the last ones, against slow and obvious references."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from finegrain.training.interpolation import (
    SHARES,
    Place,
    calibrated_losses,
    chosen_place,
    places,
    set_between,
)


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@pytest.fixture
def model():
    image = keras.Input((3,))
    return keras.Model(image, keras.layers.Dense(2, name="category")(image))


def test_the_loss_is_that_of_the_best_of_many_temperatures():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    logits = 7 * (np.eye(4)[labels] + rng.normal(0, 0.8, (200, 4)))
    each = [
        -log_softmax(logits / t, axis=1)[np.arange(200), labels].mean()
        for t in np.exp(np.linspace(-2.9, 2.9, 3000))
    ]
    assert calibrated_losses(logits, labels).mean() == pytest.approx(min(each), abs=1e-5)
    # Sharper logits say the same.
    assert calibrated_losses(3 * logits, labels).mean() == pytest.approx(min(each), abs=1e-5)


def test_every_place_is_judged_on_all_batches_and_the_model_is_left_at_the_end(model):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 50)
    inputs = (rng.normal(0, 1, (50, 3)) + labels[:, None]).astype("float32")
    targets = np.eye(2, dtype="float32")[labels]
    batches = Batches([(inputs[rows], targets[rows]) for rows in np.split(np.arange(50), [20, 40])])
    start, end = (
        [rng.normal(0, 1, (3, 2)).astype("float32"), np.zeros(2, "float32")] for _ in range(2)
    )
    found = places(model, model, batches, start, end)
    assert tuple(place.share for place in found) == SHARES
    for place in found:
        kernel = (1 - place.share) * start[0] + place.share * end[0]
        assert place.log_loss == pytest.approx(
            calibrated_losses(inputs @ kernel, labels).mean(), abs=1e-4
        )
    assert model.get_weights()[0] == pytest.approx(end[0], abs=1e-6)


def test_half_way_is_the_mean(model):
    start, end = ([np.full((3, 2), n, "float32"), np.full(2, n, "float32")] for n in (1, 4))
    set_between(model, start, end, 0.5)
    assert (model.get_weights()[0] == 2.5).all() and (model.get_weights()[1] == 2.5).all()


def test_a_gain_within_a_standard_error_does_not_undo_the_training():
    rng = np.random.default_rng(2)
    end, noise = rng.exponential(size=100), rng.normal(size=100)
    noise = (noise - noise.mean()) / noise.std()
    # Better on average by 0.05, give or take 0.1; then by 0.5.
    near = [Place(0.3, end - 0.05 + noise), Place(1.0, end)]
    assert chosen_place(near) is near[-1]
    far = [Place(0.3, end - 0.5 + noise), Place(1.0, end)]
    assert chosen_place(far) is far[0]
    # Of those that are as good as the best, the furthest.
    three = [Place(0.3, end - 0.5 + noise), Place(0.5, end - 0.45 + 0.2 * noise), Place(1.0, end)]
    assert chosen_place(three) is three[1]


def test_places_alike_and_a_single_image_leave_the_end():
    for losses in (np.ones(5), np.ones(1)):
        found = [Place(share, losses) for share in SHARES]
        assert chosen_place(found) is found[-1]
