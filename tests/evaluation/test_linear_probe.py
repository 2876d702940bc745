"""The linear probe learns what is linear and nothing where there is nothing to learn."""

import numpy as np

from finegrain.evaluation.linear_probe import linear_probe


def test_separable_classes_are_found_and_noise_is_not():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    learn = rng.random(400) < 0.6
    centres = rng.normal(0, 3, (4, 16))
    assert linear_probe(centres[labels] + rng.normal(0, 0.5, (400, 16)), labels, learn) > 0.98
    assert linear_probe(rng.normal(0, 1, (400, 16)), labels, learn) < 0.5
