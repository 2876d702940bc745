"""Reliability and calibration error, against loops over bins."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finegrain.evaluation.calibration_error import (
    calibration_statistic,
    expected_calibration_error,
    reliability,
)


def slow_bins(confidences, correct):
    """Images of each of 15 bins, which hold their upper edge and not their lower one."""
    edges = np.linspace(0, 1, 16)
    for place in range(15):
        low, high = edges[place], edges[place + 1]
        inside = [
            row
            for row, value in enumerate(confidences)
            if low < value <= high or (place == 0 and value == 0)
        ]
        yield inside, confidences[inside], correct[inside]


def slow_error(confidences, correct):
    total = 0.0
    for inside, confidence, right in slow_bins(confidences, correct):
        if inside:
            total += len(inside) * abs(confidence.mean() - right.mean())
    return total / len(confidences)


answers = st.lists(
    st.tuples(
        st.one_of(st.floats(0, 1), st.sampled_from([k / 15 for k in range(16)])), st.booleans()
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(answers)
@example([(1.0, True)])
@example([(0.0, False)])
@example([(1.0, False)] * 3)
def test_agrees_with_loops(pairs):
    confidences = np.array([value for value, _ in pairs])
    correct = np.array([right for _, right in pairs])
    found = expected_calibration_error(confidences, correct)
    assert found == pytest.approx(slow_error(confidences, correct))
    rows = reliability(confidences, correct)
    assert sum(row["count"] for row in rows) == len(pairs)
    for row, (inside, confidence, right) in zip(rows, slow_bins(confidences, correct), strict=True):
        assert row["count"] == len(inside)
        if inside:
            assert row["confidence"] == pytest.approx(confidence.mean())
            assert row["accuracy"] == pytest.approx(right.mean())
        else:
            assert row["confidence"] is None and row["accuracy"] is None


@settings(max_examples=20, deadline=None)
@given(answers, st.integers(0, 999))
def test_each_draw_has_the_error_of_its_images(pairs, seed):
    confidences = np.array([value for value, _ in pairs])
    correct = np.array([right for _, right in pairs])
    draws = np.random.default_rng(seed).integers(0, len(pairs), (5, len(pairs)))
    found = calibration_statistic(confidences, correct)(draws)
    expected = [slow_error(confidences[draw], correct[draw]) for draw in draws]
    assert found == pytest.approx(np.array(expected), abs=1e-9)


def test_always_four_fifths_sure_and_right_in_half():
    confidences, correct = np.full(10, 0.8), np.arange(10) < 5
    assert expected_calibration_error(confidences, correct) == pytest.approx(0.3)
