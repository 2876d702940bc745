"""The number that decides whether OpenVINO is trusted."""

import numpy as np
import pytest

from finegrain.inference.agreement import agreement

NUMBERS = np.random.default_rng(0).normal(size=(8, 5, 3)).astype("float32")


def test_same_answers():
    found = agreement([NUMBERS], [NUMBERS])
    assert (found.images, found.error, found.same_top) == (8, 0.0, None)
    assert found.cosine == pytest.approx(1)


def test_scaled_answers_have_an_error_and_no_angle():
    found = agreement([NUMBERS * 1.03], [NUMBERS])
    assert found.error == pytest.approx(0.03, rel=1e-4)
    assert found.cosine == pytest.approx(1)
    assert str(found) == "8 images to 3 % (cosine 1.00000)"


def test_the_worst_output_and_the_worst_image_count():
    turned = NUMBERS.copy()
    turned[3] = -turned[3]
    found = agreement([NUMBERS * 1.001, turned], [NUMBERS, NUMBERS])
    share = np.linalg.norm(2 * NUMBERS[3]) / np.linalg.norm(NUMBERS)
    assert found.error == pytest.approx(share, rel=1e-4)
    assert found.cosine == pytest.approx(-1)


def test_top_classes_are_counted_for_probabilities():
    right = np.array([[0.6, 0.4], [0.1, 0.9], [0.51, 0.49]], "float32")
    other = np.array([[0.6, 0.4], [0.1, 0.9], [0.49, 0.51]], "float32")
    assert agreement([other], [right]).same_top == 2
    assert "top class the same in 2" in str(agreement([other], [right]))


@pytest.mark.parametrize("spoil", [np.nan, np.inf])
def test_one_number_that_is_not_finite_spoils_all(spoil):
    answers = NUMBERS.copy()
    answers[7, 4, 2] = spoil
    assert agreement([answers], [NUMBERS]).error == float("inf")


def test_dark_answers():
    """A row of zeros, as relu gives, has no direction; all zeros have no size."""
    zeros = np.zeros_like(NUMBERS)
    assert agreement([zeros], [zeros]).error == 0
    assert agreement([zeros], [zeros]).cosine == 1
    assert agreement([NUMBERS], [zeros]).error == float("inf")


def test_another_shape_is_no_agreement():
    assert agreement([NUMBERS[:, :4]], [NUMBERS]).error == float("inf")
