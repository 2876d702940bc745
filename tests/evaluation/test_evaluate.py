"""All measures of a split: what cannot be computed says why, the rest is there."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from finegrain.evaluation.embedding_measures import sample_pairs
from finegrain.evaluation.evaluate import evaluate_split
from finegrain.evaluation.labelled_images import Answered, LabelledImages
from finegrain.evaluation.measures import (
    CLASS_MEASURES,
    MEASURES,
    NEIGHBOUR_MEASURES,
    PAIR_MEASURES,
)
from finegrain.runs.predictions import COLUMNS, top_answers


def closeness(first, second):
    return -((first - second) ** 2).sum(axis=1)


def split_of(labels, classes=4, width=3, seed=0):
    rng, labels = np.random.default_rng(seed), np.array(labels, np.int64)
    probabilities = rng.dirichlet(np.ones(classes), len(labels)).astype("float32")
    names = [str(place) for place in range(classes)]
    paths = [f"{row}.jpg" for row in range(len(labels))]
    embeddings = rng.normal(size=(len(labels), width)).astype("float32")
    images = LabelledImages("valid", paths, paths, labels)
    answers = top_answers(probabilities, labels)
    answered = Answered(images, answers, np.arange(len(labels)), embeddings, {})
    return answered.rows(names), names, answered


def of_some(answered, rows):
    """The same images, of which only some are compared."""
    return replace(answered, compared=np.array(rows), embeddings=answered.embeddings[rows])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=9), st.integers(0, 99))
def test_every_measure_is_there_or_has_a_reason(labels, seed):
    table, names, answered = split_of(labels, seed=seed)
    found = evaluate_split(table, names, answered, closeness)
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
    table, names, answered = split_of(np.arange(40) % 4)
    found = evaluate_split(table, names, answered, closeness)["measures"]
    embeddings, labels = answered.embeddings, answered.images.labels
    pairs = sample_pairs(labels)
    scores = closeness(embeddings[pairs.first], embeddings[pairs.second])
    expected = roc_auc_score(pairs.same, scores)
    assert found["pair_auc_same_class"]["value"] == pytest.approx(expected)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosine = (unit[pairs.first] * unit[pairs.second]).sum(axis=1)
    assert found["pair_auc_cosine"]["value"] == pytest.approx(roc_auc_score(pairs.same, cosine))
    alike = unit @ unit.T - 9 * np.eye(40)
    nearest = labels[alike.argmax(axis=1)]
    assert found["recall_at_1"]["value"] == pytest.approx((nearest == labels).mean())


def test_without_answers_the_images_are_still_compared():
    _, names, answered = split_of([0, 0, 1, 1, 2])
    found = evaluate_split(pd.DataFrame(columns=COLUMNS), names, answered, closeness)
    assert set(found["missing"]) == {each.name for each in CLASS_MEASURES} and found["images"] == 0
    assert found["per_class"]["3"]["images"] == 0
    assert found["measures"]["recall_at_5"]["value"] == 1
    assert "1 images ask for no neighbours, being alone in their class" in found["notes"]


def test_without_embeddings_the_answers_are_still_measured():
    table, names, _ = split_of([0, 0, 1])
    found = evaluate_split(table, names, None)
    assert set(found["missing"]) == {each.name for each in (*PAIR_MEASURES, *NEIGHBOUR_MEASURES)}


def test_embeddings_that_are_no_numbers_are_left_out():
    table, names, answered = split_of([0, 0, 1, 1, 1])
    answered.embeddings[4] = np.nan
    found = evaluate_split(table, names, answered, closeness)
    expected = evaluate_split(table, names, of_some(answered, [0, 1, 2, 3]), closeness)
    assert found["measures"] == expected["measures"]
    assert found["notes"][0].startswith("1 images are not compared")


def test_a_pair_head_that_overflows_is_no_measure():
    table, names, answered = split_of([0, 0, 1, 1, 2, 3, 2, 3, 2])
    some = of_some(answered, [0, 1, 2, 3])
    found = evaluate_split(table, names, some, lambda first, _: np.full(len(first), np.nan))
    assert "no finite numbers" in found["missing"]["pair_eer_same_class"]
    assert found["measures"]["pair_eer_cosine"] is not None
    assert "pairs and neighbours are of 4 images drawn from the 9" in found["notes"]
