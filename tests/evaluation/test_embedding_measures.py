"""Pairs, retrieval and a linear probe, against scikit-learn and obvious references."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from finegrain.embeddings.nearest import unit_rows
from finegrain.evaluation.embedding_measures import (
    PairCurve,
    Pairs,
    equal_error_rate,
    linear_probe,
    neighbour_ranks,
    sample_pairs,
)
from finegrain.evaluation.measures import COSINE_MEASURES, taken

labels_strategy = st.lists(st.integers(0, 4), min_size=1, max_size=14)


@settings(max_examples=60, deadline=None)
@given(labels_strategy, st.integers(2, 40), st.integers(0, 99))
@example([0, 0, 0], 10, 0)
@example([0, 1, 2], 10, 0)
@example([0], 10, 0)
@example([0] * 12 + [1], 40, 0)
def test_half_of_the_pairs_are_of_one_class_and_no_pair_comes_twice(labels, most, seed):
    labels = np.array(labels)
    pairs = sample_pairs(labels, most, seed)
    assert (labels[pairs.first] == labels[pairs.second]).tolist() == pairs.same.tolist()
    keys = {
        frozenset(pair) for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    }
    assert len(keys) == len(pairs.first) and all(len(pair) == 2 for pair in keys)
    every = [labels[one] == labels[other] for one, other in combinations(range(len(labels)), 2)]
    expected = min(most // 2, sum(every), len(every) - sum(every))
    assert pairs.same.sum() == (~pairs.same).sum() == expected


def test_all_pairs_are_drawn_equally_often():
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    counts = {}
    for seed in range(3000):
        pairs = sample_pairs(labels, 2, seed)
        for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
            counts[frozenset(pair)] = counts.get(frozenset(pair), 0) + 1
    positive = [counts[frozenset(pair)] / 3000 for pair in combinations(range(4), 2)]
    assert np.abs(np.array(positive) - 1 / 7).max() < 0.03
    assert len(counts) == 21


def test_one_large_class_and_a_single_image_of_another():
    pairs = sample_pairs(np.append(np.zeros(30_000, int), 1), most=2000)
    assert (~pairs.same).sum() == 1000
    assert (pairs.second[~pairs.same] == 30_000).all()


def slow_equal_error_rate(scores, same):
    """Walk the thresholds down; between two points of the curve the errors move in a line."""
    points = [(0.0, 1.0)]
    for threshold in sorted(set(scores), reverse=True):
        accepted = scores >= threshold
        points.append((accepted[~same].mean(), 1 - accepted[same].mean()))
    for (false, missed), (false_2, missed_2) in pairwise(points):
        if false_2 >= missed_2:
            step = (missed - false) / ((missed - false) - (missed_2 - false_2))
            return false + step * (false_2 - false)
    raise AssertionError("the errors never meet")


scored = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30).filter(
    lambda some: 0 < sum(same for _, same in some) < len(some)
)


@settings(max_examples=80, deadline=None)
@given(scored)
@example([(1, True), (0, False)])
@example([(0, True), (1, False)])
@example([(1, True), (1, False)])
def test_the_equal_error_rate_is_where_the_errors_meet(pairs):
    scores = np.array([float(score) for score, _ in pairs])
    same = np.array([is_same for _, is_same in pairs])
    found = equal_error_rate(scores, same)
    assert found == pytest.approx(slow_equal_error_rate(scores, same))


def test_all_right_all_wrong_and_no_idea():
    same = np.array([True, True, False, False])
    assert equal_error_rate(np.array([4.0, 3, 2, 1]), same) == 0
    assert equal_error_rate(np.array([1.0, 2, 3, 4]), same) == 1
    assert equal_error_rate(np.ones(4), same) == 0.5


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=4, max_size=12), st.integers(0, 99), st.booleans())
def test_a_draw_weighs_each_pair_by_its_images(labels, seed, ties):
    labels = np.array(labels)
    pairs = sample_pairs(labels, 20, seed)
    if not len(pairs.same):
        return
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, len(pairs.same)) / 2 if ties else rng.random(len(pairs.same))
    draws = rng.integers(0, len(labels), (6, len(labels)))
    curve = PairCurve(scores, pairs)
    aucs, rates = curve.auc_of_draws(draws), curve.equal_error_rate_of_draws(draws)
    for draw, auc, rate in zip(draws, aucs, rates, strict=True):
        times = np.bincount(draw, minlength=len(labels))
        weights = times[pairs.first] * times[pairs.second]
        repeated = np.repeat(np.arange(len(weights)), weights)
        if len(set(pairs.same[repeated])) < 2:
            assert np.isnan(auc)
            continue
        assert auc == pytest.approx(roc_auc_score(pairs.same[repeated], scores[repeated]))
        expected = slow_equal_error_rate(scores[repeated], pairs.same[repeated])
        assert rate == pytest.approx(expected)


def test_the_interval_narrows_with_more_images():
    rng = np.random.default_rng(0)
    widths = []
    for count in (20, 500):
        labels = rng.integers(0, 5, count)
        pairs = sample_pairs(labels, 4000)
        curve = PairCurve(pairs.same + rng.normal(0, 1, len(pairs.same)), pairs)
        found = taken(COSINE_MEASURES, curve, count)["pair_auc_cosine"]
        assert found["low"] <= found["value"] <= found["high"]
        widths.append(found["high"] - found["low"])
    assert widths[1] < widths[0] / 2


def test_the_same_seed_gives_the_same_pairs():
    labels = np.arange(300) % 7
    first, second, other = (sample_pairs(labels, 100, seed) for seed in (3, 3, 4))
    assert isinstance(first, Pairs)
    assert first.first.tolist() == second.first.tolist() != other.first.tolist()


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
