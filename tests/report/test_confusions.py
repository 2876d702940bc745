"""Confusions are counted as a slow loop counts them; look-alikes stand side by side."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from finegrain.evaluation.answers import Answers
from finegrain.report.confusions import (
    class_notes,
    class_rows,
    confused_pairs,
    count_confusions,
    look_alike_order,
    most_confused,
)

CLASSES = ["cat", "dog", "owl", "fox", "bat", "elk"]


def answers(labels, predicted, classes=CLASSES) -> Answers:
    labels, predicted = np.array(labels, np.int64), np.array(predicted, np.int64)
    shares = np.full(len(labels), 0.5)
    top = np.stack([predicted] * 5, axis=1).reshape(-1, 5)
    paths = np.array([f"{n}.jpg" for n in range(len(labels))], object)
    return Answers(classes, paths, labels, predicted, shares, shares, top, np.full(top.shape, 0.1))


pairs_of_labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(pairs_of_labels)
def test_pairs_and_classes_are_those_of_a_slow_loop(rows):
    counts = count_confusions(answers(*zip(*rows, strict=True)))
    times, images = Counter(rows), Counter(label for label, _ in rows)
    expected = {}
    for one in range(6):
        for other in range(one + 1, 6):
            if times[one, other] + times[other, one]:
                expected[one, other] = (
                    times[one, other],
                    times[other, one],
                    images[one] + images[other],
                )
    found = confused_pairs(counts, 100)
    assert {
        (p.first, p.second): (p.first_as_second, p.second_as_first, p.images) for p in found
    } == expected
    mistakes = [pair.mistakes for pair in found]
    assert mistakes == sorted(mistakes, reverse=True)
    fared = {row.name: row for row in class_rows(counts, CLASSES, [])}
    for label, name in enumerate(CLASSES):
        wrong = {CLASSES[n]: times[label, n] for n in range(6) if n != label and times[label, n]}
        row, answered = fared[name], sum(1 for _, given in rows if given == label)
        assert (row.images, row.answered) == (images[label], answered)
        right = times[label, label]
        assert row.accuracy == (right / images[label] if images[label] else None)
        assert row.precision == (right / answered if answered else None)
        if wrong:
            assert wrong[row.taken_for] == max(wrong.values())
        else:
            assert row.taken_for == ""


@settings(max_examples=40, deadline=None)
@given(pairs_of_labels)
def test_an_order_of_classes_holds_each_once(rows):
    order = look_alike_order(count_confusions(answers(*zip(*rows, strict=True))))
    assert sorted(order.tolist()) == list(range(6))


def test_look_alikes_stand_side_by_side():
    # Families 0, 3, 6 and 1, 4, 7 and 2, 5, 8 confuse their own members only.
    family = np.arange(9) % 3
    counts = 10 * np.eye(9, dtype=int) + 4 * (family[:, None] == family[None])
    order = look_alike_order(sparse.csr_array(counts))
    changes = sum(family[a] != family[b] for a, b in pairwise(order))
    assert changes == 2


def test_without_any_mistake_the_order_is_that_of_the_classes():
    counts = count_confusions(answers([0, 1, 2], [0, 1, 2], CLASSES[:3]))
    assert look_alike_order(counts).tolist() == [0, 1, 2]
    assert len(most_confused(counts, 5)) == 0
    assert confused_pairs(counts, 5) == []


def test_the_table_begins_with_the_worst_and_names_the_never_answered():
    counts = count_confusions(answers([0, 0, 1, 1], [0, 0, 0, 0], CLASSES[:3]))
    rows = class_rows(counts, CLASSES[:3], [5, 6, 7])
    assert [row.name for row in rows] == ["dog", "cat", "owl"]
    assert (rows[0].accuracy, rows[0].precision, rows[0].taken_for) == (0, None, "cat")
    assert (rows[1].training, rows[1].precision) == (5, 0.5)
    assert rows[2].accuracy is None
    notes = " ".join(class_notes(counts, CLASSES[:3]))
    assert "never answered: dog" in notes and "judged by: owl" in notes
