"""Retrieval within a set against a sort of each query's list and scikit-learn; a linear probe."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from finegrain.embeddings.nearest import unit_rows
from finegrain.evaluation.embedding_measures import linear_probe, neighbour_ranks


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=15), st.integers(0, 999), st.booleans())
@example([0, 1, 2, 3], 0, False)
@example([0, 0], 0, True)
def test_agrees_with_scikit_learn_and_a_sorted_list(labels, seed, ties):
    labels, rng = np.array(labels), np.random.default_rng(seed)
    width = 4
    if ties:
        # Few directions, of exact lengths.
        embeddings = np.eye(width)[rng.integers(0, width, len(labels))]
    else:
        embeddings = rng.normal(size=(len(labels), width))
    found = neighbour_ranks(embeddings, labels)
    unit = unit_rows(embeddings)
    alike = unit @ unit.T
    expected = [row for row in range(len(labels)) if (labels == labels[row]).sum() > 1]
    assert sorted(found.queries.tolist()) == expected
    for query, first, precision in zip(
        found.queries, found.first, found.average_precision, strict=True
    ):
        others = [row for row in range(len(labels)) if row != query]
        match = labels[others] == labels[query]
        assert precision == pytest.approx(average_precision_score(match, alike[query, others]))
        # Of images as like the query as a match, those of other classes come first.
        order = sorted(range(len(others)), key=lambda p: (-alike[query, others[p]], match[p]))
        assert first == [bool(match[place]) for place in order].index(True) + 1


def test_many_queries_go_through_several_blocks():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 40, 600)
    embeddings = np.eye(40)[labels] + 1e-3 * rng.normal(size=(600, 40))
    found = neighbour_ranks(embeddings, labels)
    assert len(found.queries) == 600
    assert (found.first == 1).all() and found.average_precision == pytest.approx(np.ones(600))


def test_a_collapsed_model_finds_nothing():
    found = neighbour_ranks(np.ones((40, 3)), np.arange(40) % 20)
    assert (found.first == 39).all()


def test_an_embedding_of_zeros_is_no_error():
    found = neighbour_ranks(np.zeros((4, 3)), np.array([0, 0, 1, 1]))
    assert np.isfinite(found.average_precision).all()


def test_a_linear_probe_finds_separable_classes_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    learn = rng.random(400) < 0.6
    centres = rng.normal(0, 3, (4, 16))
    assert linear_probe(centres[labels] + rng.normal(0, 0.5, (400, 16)), labels, learn) > 0.98
    assert linear_probe(rng.normal(0, 1, (400, 16)), labels, learn) < 0.5
