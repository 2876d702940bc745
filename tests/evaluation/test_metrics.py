"""Top-1 error against counting by hand, log loss and clip against scikit-learn and a search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from finegrain.evaluation.metrics import CLIPS, calibrated_clip, clipped, log_loss, top1_error


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


def some_answers(classes, count, seed, sharp=3.0):
    rng = np.random.default_rng(seed)
    scores = np.exp(sharp * rng.normal(size=(count, classes)))
    return (scores / scores.sum(axis=1, keepdims=True)).astype("float32"), rng.integers(
        classes, size=count
    )


@given(st.integers(2, 6), st.integers(1, 30), st.integers(0, 99), st.sampled_from(CLIPS))
@settings(max_examples=40, deadline=None)
def test_log_loss_is_scikit_learns_and_clipped_rows_are_probabilities(classes, count, seed, clip):
    answers, labels = some_answers(classes, count, seed)
    given_clip = clipped(answers, clip)
    np.testing.assert_allclose(given_clip.sum(axis=1), 1, rtol=1e-5)
    expected = metrics.log_loss(labels, given_clip.astype("float64"), labels=range(classes))
    assert log_loss(given_clip, labels) == pytest.approx(expected, rel=1e-4)
    if classes == 2:
        np.testing.assert_array_equal(given_clip, np.clip(answers, clip, 1 - clip))
    else:
        least = clip / (classes - 1)
        assert (given_clip >= least / (1 + clip) * 0.999).all()


def test_the_calibrated_clip_is_the_best_of_the_search():
    answers, labels = some_answers(2, 300, 5, sharp=6.0)
    clip, loss = calibrated_clip(answers, labels)
    losses = {
        tried: log_loss(clipped(answers, tried), labels) for tried in CLIPS if tried > 1 / 600
    }
    assert loss == pytest.approx(min(losses.values())) and losses[clip] == pytest.approx(loss)


def test_where_all_is_right_no_clip_is_smaller_than_half_an_image():
    labels = np.arange(40) % 2
    clip, _ = calibrated_clip(np.eye(2, dtype="float32")[labels], labels)
    assert clip == 0.5 / 40


def test_no_rows_have_no_loss():
    with pytest.raises(ValueError, match="at least 1"):
        log_loss(np.zeros((0, 2)), np.zeros(0, int))
