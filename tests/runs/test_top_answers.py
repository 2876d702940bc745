"""The most probable classes and the rank of the true one, against a sort of each row."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.runs.top_answers import joined_answers, top_answers


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_agrees_with_a_stable_sort(images, classes, seed):
    rng = np.random.default_rng(seed)
    # Few values, so that ties are many.
    probabilities = rng.integers(0, 4, (images, classes)).astype("float32") / 10
    labels = rng.integers(0, classes, images)
    answers = top_answers(probabilities, labels)
    for row in range(images):
        order = sorted(range(classes), key=lambda place: (-probabilities[row, place], place))
        assert answers.classes[row].tolist() == order[:5]
        assert answers.probabilities[row].tolist() == probabilities[row, order[:5]].tolist()
        assert answers.true_rank[row] == order.index(labels[row]) + 1
        assert answers.true_probability[row] == probabilities[row, labels[row]]


def test_what_is_no_number_is_no_answer():
    probabilities = np.array([[0.2, 0.8], [np.nan, 0.5], [np.inf, 0]], "float32")
    answers = top_answers(probabilities, np.array([1, 1, 0]))
    assert answers.classes.tolist() == [[1, 0], [-1, -1], [-1, -1]]
    assert answers.true_rank.tolist() == [1, 0, 0]
    assert np.isnan(answers.probabilities[1:]).all()
    assert np.isnan(answers.true_probability[1:]).all()
    assert np.isnan(probabilities).sum() == 1, "the caller's numbers were changed"


def test_batches_join_to_the_whole():
    rng = np.random.default_rng(0)
    probabilities, labels = rng.random((7, 12)), rng.integers(0, 12, 7)
    whole = top_answers(probabilities, labels)
    parts = [top_answers(probabilities[some], labels[some]) for some in (slice(3), slice(3, 7))]
    joined = joined_answers(parts)
    assert (joined.classes == whole.classes).all() and (joined.true_rank == whole.true_rank).all()
