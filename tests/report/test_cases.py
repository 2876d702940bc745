"""Likely label errors against the rule said slowly."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.evaluation.answers import Answers
from finegrain.report.cases import likely_label_errors, supported_first
from finegrain.report.neighbours import Neighbour


def make(rows) -> Answers:
    labels, predicted, high, low = (np.array(column) for column in zip(*rows, strict=True))
    high, low = np.maximum(high, low), np.minimum(high, low)
    top = np.stack([predicted] * 5, axis=1)
    paths = np.array([f"{n}.jpg" for n in range(len(rows))], object)
    true = np.where(labels == predicted, high, low)
    return Answers(
        ["a", "b", "c", "d"], paths, labels, predicted, high, true, top, np.full(top.shape, 0.1)
    )


share = st.floats(0, 1, width=32)
some_rows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), share, share), min_size=1, max_size=15
)


@settings(max_examples=60, deadline=None)
@given(some_rows)
def test_the_rule_as_a_slow_loop(rows):
    answers = make(rows)
    threshold = {}
    for label in set(answers.labels.tolist()):
        own = [
            p for p, of in zip(answers.true_probability, answers.labels, strict=True) if of == label
        ]
        threshold[label] = np.bincount([0] * len(own), own)[0] / len(own)
    expected = {
        row
        for row in range(len(rows))
        if answers.predicted[row] != answers.labels[row]
        and answers.predicted[row] in threshold
        and answers.probability[row] >= threshold[answers.predicted[row]]
        and answers.true_probability[row] < threshold[answers.labels[row]]
    }
    found = likely_label_errors(answers).tolist()
    assert set(found) == expected and len(found) == len(expected)
    margins = (answers.probability - answers.true_probability)[found]
    assert (np.diff(margins) <= 0).all()


def test_a_swapped_label_is_found_and_a_look_alike_is_not():
    sure = [(0, 0, 0.9, 0.1)] * 5 + [(1, 1, 0.9, 0.1)] * 5
    found = likely_label_errors(make([*sure, (0, 1, 0.95, 0.02), (1, 0, 0.5, 0.45)]))
    assert found.tolist() == [10]


def test_neighbours_of_the_answered_class_come_first():
    answers = make([(0, 1, 0.9, 0.1)] * 3)
    nearest = {
        "0.jpg": [Neighbour("a", 0, 0.9)] * 5,
        "2.jpg": [Neighbour("b", 1, 0.9)] * 4 + [Neighbour("a", 0, 0.8)],
    }
    assert supported_first(answers, np.array([0, 1, 2]), nearest).tolist() == [2, 1, 0]
