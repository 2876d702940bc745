"""Measures of answers, against scikit-learn and slow loops, on random and degenerate answers."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from finegrain.evaluation.class_measures import class_measures, f1_statistic, per_class
from finegrain.runs.predictions import prediction_rows, top_answers


def table_of(probabilities, labels):
    classes = [f"class {place}" for place in range(probabilities.shape[1])]
    paths = [f"{row}.jpg" for row in range(len(labels))]
    answers = top_answers(probabilities, labels)
    return prediction_rows(paths, "valid", labels, answers, classes), classes


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
    found = {name: entry["value"] for name, entry in class_measures(table, names).items()}
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
    for place, found in enumerate(per_class(table, names).values()):
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
    found = per_class(table, names)["class 0"]
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
    found = f1_statistic(labels, predicted)(draws)
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
    found = class_measures(table, names)
    classes = per_class(table, names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["top1_accuracy"]["value"] == (table["true"] == table["predicted"]).mean()
    assert len(classes) == 10_000
    # A matrix of classes times classes takes 800 MB.
    assert peak < 300e6


def test_one_image_has_an_interval_of_one_point():
    table, names = table_of(np.array([[0.7, 0.3]], "float32"), np.array([1]))
    found = class_measures(table, names)
    assert found["top1_accuracy"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert isinstance(table, pd.DataFrame)
