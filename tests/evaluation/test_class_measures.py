"""Measures of answers, against scikit-learn and slow loops, on random and degenerate answers."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from finegrain.evaluation.answers import answers_of
from finegrain.evaluation.class_measures import (
    calibration_error,
    macro_f1,
    per_class,
    reliability,
)
from finegrain.evaluation.measures import CLASS_MEASURES, taken
from finegrain.runs.predictions import prediction_rows, top_answers


def table_of(probabilities, labels):
    classes = [f"class {place}" for place in range(probabilities.shape[1])]
    paths = [f"{row}.jpg" for row in range(len(labels))]
    answers = top_answers(probabilities, labels)
    return prediction_rows(paths, "valid", labels, answers, classes), classes


def measured(table, classes):
    return taken(CLASS_MEASURES, answers_of(table, classes), len(table))


def drawn(images, classes, kind, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    if kind == "one class missing":
        labels = np.minimum(labels, max(0, classes - 2))
    scores = rng.random((images, classes))
    if kind == "all right":
        scores[np.arange(images), labels] += 9
    elif kind == "all wrong":
        scores[np.arange(images), (labels + 1) % classes] += 9
    elif kind == "never predicted":
        scores[:, 0] = 0
    elif kind == "ties":
        scores = np.ones_like(scores)
    elif kind == "sure":
        scores = (scores == scores.max(axis=1, keepdims=True)).astype("float64")
    return (scores / scores.sum(axis=1, keepdims=True)).astype("float32"), labels


KINDS = ["random", "one class missing", "all right", "all wrong", "never predicted", "ties", "sure"]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 25), st.integers(2, 9), st.sampled_from(KINDS), st.integers(0, 999))
@example(1, 2, "all wrong", 0)
@example(1, 9, "all right", 0)
def test_agrees_with_scikit_learn(images, classes, kind, seed):
    probabilities, labels = drawn(images, classes, kind, seed)
    table, names = table_of(probabilities, labels)
    found = {name: entry["value"] for name, entry in measured(table, names).items()}
    predicted = probabilities.argmax(axis=1)
    assert found["top1_accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    if kind not in ("ties", "sure") and classes > 5:
        assert found["top5_accuracy"] == pytest.approx(
            metrics.top_k_accuracy_score(labels, probabilities, k=5, labels=range(classes))
        )
    if classes <= 5:
        assert found["top5_accuracy"] == 1
    expected = metrics.f1_score(labels, predicted, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(expected)
    clipped = np.clip(probabilities.astype("float64"), 1e-7, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = metrics.log_loss(labels, clipped, labels=range(classes))
    assert found["log_loss"] == pytest.approx(loss, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(2, 6), st.sampled_from(KINDS), st.integers(0, 999))
def test_each_class_as_scikit_learn_reports_it(images, classes, kind, seed):
    probabilities, labels = drawn(images, classes, kind, seed)
    table, names = table_of(probabilities, labels)
    report = metrics.precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=range(classes), zero_division=0
    )
    for place, found in enumerate(per_class(answers_of(table, names), names).values()):
        precision, recall, f1, support = (some[place] for some in report)
        assert found["images"] == support
        assert (found["accuracy"] or 0) == pytest.approx(recall)
        assert (found["precision"] or 0) == pytest.approx(precision)
        assert (found["f1"] or 0) == pytest.approx(f1)
        assert (found["accuracy"] is None) == (support == 0)
        assert support == 0 or found["low"] <= found["accuracy"] <= found["high"]


def test_the_interval_of_a_class_is_that_of_drawing_its_images_again():
    probabilities = np.array([[0.9, 0.1]] * 14 + [[0.2, 0.8]] * 6, "float32")
    table, names = table_of(probabilities, np.zeros(20, int))
    found = per_class(answers_of(table, names), names)["class 0"]
    rng = np.random.default_rng(0)
    correct = probabilities.argmax(axis=1) == 0
    draws = correct[rng.integers(0, 20, (20000, 20))].mean(axis=1)
    assert np.percentile(draws, [2.5, 97.5]) == pytest.approx([found["low"], found["high"]])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(2, 6), st.sampled_from(KINDS), st.integers(0, 999))
def test_macro_f1_of_each_draw_is_that_of_scikit_learn(images, classes, kind, seed):
    probabilities, labels = drawn(images, classes, kind, seed)
    predicted = probabilities.argmax(axis=1)
    draws = np.random.default_rng(seed).integers(0, images, (7, images))
    _, statistic = macro_f1(answers_of(*table_of(probabilities, labels)))
    found = statistic(draws)
    for value, draw in zip(found, draws, strict=True):
        expected = metrics.f1_score(labels[draw], predicted[draw], average="macro", zero_division=0)
        assert value == pytest.approx(expected)


def test_ten_thousand_classes_take_little_memory():
    import tracemalloc

    rng = np.random.default_rng(0)
    names = [f"class {place}" for place in range(10_000)]
    labels = rng.integers(0, 10_000, 3000)
    probabilities = np.zeros((3000, 10_000), "float32")
    probabilities[np.arange(3000), rng.permutation(labels)] = 1
    table = prediction_rows(
        [f"{row}.jpg" for row in range(3000)],
        "valid",
        labels,
        top_answers(probabilities, labels),
        names,
    )
    tracemalloc.start()
    found = measured(table, names)
    classes = per_class(answers_of(table, names), names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["top1_accuracy"]["value"] == (table["true"] == table["predicted"]).mean()
    assert len(classes) == 10_000
    # A matrix of classes times classes takes 800 MB.
    assert peak < 300e6


def test_one_image_has_an_interval_of_one_point():
    table, names = table_of(np.array([[0.7, 0.3]], "float32"), np.array([1]))
    found = measured(table, names)
    assert found["top1_accuracy"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert isinstance(table, pd.DataFrame)


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


answers_strategy = st.lists(
    st.tuples(
        st.one_of(st.floats(0, 1), st.sampled_from([k / 15 for k in range(16)])), st.booleans()
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(answers_strategy)
@example([(1.0, True)])
@example([(0.0, False)])
@example([(1.0, False)] * 3)
def test_the_calibration_error_agrees_with_loops(pairs):
    confidences = np.array([value for value, _ in pairs])
    correct = np.array([right for _, right in pairs])
    found, _ = calibration_error(confidences, correct)
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
@given(answers_strategy, st.integers(0, 999))
def test_each_draw_has_the_calibration_error_of_its_images(pairs, seed):
    confidences = np.array([value for value, _ in pairs])
    correct = np.array([right for _, right in pairs])
    draws = np.random.default_rng(seed).integers(0, len(pairs), (5, len(pairs)))
    found = calibration_error(confidences, correct)[1](draws)
    expected = [slow_error(confidences[draw], correct[draw]) for draw in draws]
    assert found == pytest.approx(np.array(expected), abs=1e-9)


def test_always_four_fifths_sure_and_right_in_half():
    confidences, correct = np.full(10, 0.8), np.arange(10) < 5
    assert calibration_error(confidences, correct)[0] == pytest.approx(0.3)
