"""The score, against counting by hand."""

import numpy as np
import pytest

from finegrain.evaluation.metrics import top1_error


def test_counts_the_wrong_answers():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.1, 0.6, 0.3], [1, 0, 0]])
    assert top1_error(probabilities, np.array([0, 2, 1, 0])) == 0.0
    assert top1_error(probabilities, np.array([0, 2, 1, 1])) == 0.25
    assert top1_error(probabilities, np.array([1, 1, 2, 2])) == 1.0


def test_a_model_that_names_a_class_without_images_is_wrong():
    assert top1_error(np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]), np.array([0, 0])) == 0.5


@pytest.mark.parametrize(
    "probabilities, labels",
    [
        (np.zeros((0, 3)), np.zeros(0, int)),
        (np.zeros((4, 3)), np.zeros(3, int)),
        (np.zeros(4), np.zeros(4, int)),
        (np.zeros((4, 3)), np.eye(4, 3)),
        (np.array([[np.nan, np.nan], [0.1, 0.9]]), np.array([0, 1])),
    ],
)
def test_refuses_what_has_no_score(probabilities, labels):
    with pytest.raises(ValueError, match="Received"):
        top1_error(probabilities, labels)
