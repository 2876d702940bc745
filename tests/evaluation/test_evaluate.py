"""All measures of a split: what cannot be computed says why, the rest is there."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from finegrain.evaluation.bootstrap import intervals, mean_of
from finegrain.evaluation.evaluate import (
    CLASS_MEASURES,
    MEASURES,
    NEIGHBOUR_MEASURES,
    PAIR_MEASURES,
    Compared,
    evaluate_split,
)
from finegrain.evaluation.pair_sampling import sample_pairs
from finegrain.runs.predictions import COLUMNS, prediction_rows, top_answers


def closeness(one, other):
    return -((one - other) ** 2).sum(axis=1)


def split_of(labels, classes=4, width=3, seed=0):
    rng, labels = np.random.default_rng(seed), np.array(labels, np.int64)
    probabilities = rng.dirichlet(np.ones(classes), len(labels)).astype("float32")
    names = [str(place) for place in range(classes)]
    paths = [f"{row}.jpg" for row in range(len(labels))]
    table = prediction_rows(paths, "valid", labels, top_answers(probabilities, labels), names)
    embeddings = rng.normal(size=(len(labels), width)).astype("float32")
    return table, names, Compared(embeddings, labels, closeness, len(labels))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=9), st.integers(0, 99))
def test_every_measure_is_there_or_has_a_reason(labels, seed):
    table, names, compared = split_of(labels, seed=seed)
    found = evaluate_split(table, names, compared)
    json.dumps(found, allow_nan=False)
    assert set(found["measures"]) == set(MEASURES)
    for name, measure in found["measures"].items():
        assert (measure is None) == (name in found["missing"])
        if measure is not None:
            assert np.isfinite(measure["value"])
            assert measure["low"] is None or measure["low"] <= measure["high"]
    sizes = np.bincount(np.array(labels, int), minlength=4)
    assert (found["measures"]["top1_accuracy"] is None) == (not labels)
    assert (found["measures"]["recall_at_1"] is None) == (sizes.max() < 2)
    two_kinds = sizes.max() > 1 and (sizes > 0).sum() > 1
    assert (found["measures"]["pair_auc_cosine"] is None) == (not two_kinds)


def test_pairs_and_neighbours_are_of_the_embeddings():
    table, names, compared = split_of(np.arange(40) % 4)
    found = evaluate_split(table, names, compared)["measures"]
    pairs = sample_pairs(compared.labels)
    scores = closeness(compared.embeddings[pairs.one], compared.embeddings[pairs.other])
    expected = roc_auc_score(pairs.same, scores)
    assert found["pair_auc_same_class"]["value"] == pytest.approx(expected)
    unit = compared.embeddings / np.linalg.norm(compared.embeddings, axis=1, keepdims=True)
    cosine = (unit[pairs.one] * unit[pairs.other]).sum(axis=1)
    assert found["pair_auc_cosine"]["value"] == pytest.approx(roc_auc_score(pairs.same, cosine))
    alike = unit @ unit.T - 9 * np.eye(40)
    nearest = compared.labels[alike.argmax(axis=1)]
    assert found["recall_at_1"]["value"] == pytest.approx((nearest == compared.labels).mean())


def test_without_answers_the_images_are_still_compared():
    _, names, compared = split_of([0, 0, 1, 1, 2])
    found = evaluate_split(pd.DataFrame(columns=COLUMNS), names, compared)
    assert set(found["missing"]) == set(CLASS_MEASURES) and found["images"] == 0
    assert found["per_class"]["3"]["images"] == 0
    assert found["measures"]["recall_at_5"]["value"] == 1
    assert "1 images ask for no neighbours, being alone in their class" in found["notes"]


def test_without_embeddings_the_answers_are_still_measured():
    table, names, _ = split_of([0, 0, 1])
    found = evaluate_split(table, names, None)
    assert set(found["missing"]) == {*PAIR_MEASURES, *NEIGHBOUR_MEASURES}


def test_embeddings_that_are_no_numbers_are_left_out():
    table, names, compared = split_of([0, 0, 1, 1, 1])
    compared.embeddings[4] = np.nan
    found = evaluate_split(table, names, compared)
    expected = evaluate_split(
        table, names, Compared(compared.embeddings[:4], compared.labels[:4], closeness, 4)
    )
    assert found["measures"] == expected["measures"]
    assert found["notes"][0].startswith("1 images are not compared")


def test_a_pair_head_that_overflows_is_no_measure():
    table, names, compared = split_of([0, 0, 1, 1])
    broken = Compared(
        compared.embeddings, compared.labels, lambda one, _: np.full(len(one), np.nan), 9
    )
    found = evaluate_split(table, names, broken)
    assert "no finite numbers" in found["missing"]["pair_eer_same_class"]
    assert found["measures"]["pair_eer_cosine"] is not None
    assert "pairs and neighbours are of 4 images drawn from the 9" in found["notes"]


def test_an_interval_of_a_mean_is_about_two_standard_errors_wide():
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = intervals({"mean": mean_of(values)}, 400)["mean"]
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_intervals_do_not_depend_on_the_blocks_or_on_each_other(monkeypatch):
    from finegrain.evaluation import bootstrap

    values = np.random.default_rng(0).normal(size=30)
    whole = intervals({"mean": mean_of(values)}, 30, seed=5, resamples=100)
    monkeypatch.setattr(bootstrap, "BLOCK", 700)
    some = intervals({"other": mean_of(-values), "mean": mean_of(values)}, 30, 5, 100)
    assert some["mean"] == pytest.approx(whole["mean"])
    assert some["mean"] == pytest.approx([-some["other"][1], -some["other"][0]])
    nothing = intervals({"none": lambda draws: np.full(len(draws), np.nan)}, 3)
    assert nothing == {"none": None}
