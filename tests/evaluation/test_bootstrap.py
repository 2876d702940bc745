"""Intervals by the bootstrap: as wide as theory has them, wider over clusters, always the same."""

import numpy as np
import pytest

from finegrain.evaluation import bootstrap
from finegrain.evaluation.bootstrap import clustered_interval, drawn_rows, intervals, mean_of


def test_an_interval_of_a_mean_is_about_two_standard_errors_wide():
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = intervals({"mean": mean_of(values)}, 400)["mean"]
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_intervals_do_not_depend_on_the_blocks_or_on_each_other(monkeypatch):
    values = np.random.default_rng(0).normal(size=30)
    whole = intervals({"mean": mean_of(values)}, 30, seed=5, resamples=100)
    monkeypatch.setattr(bootstrap, "BLOCK", 700)
    some = intervals({"other": mean_of(-values), "mean": mean_of(values)}, 30, 5, 100)
    assert some["mean"] == pytest.approx(whole["mean"])
    assert some["mean"] == pytest.approx([-some["other"][1], -some["other"][0]])
    nothing = intervals({"none": lambda draws: np.full(len(draws), np.nan)}, 3)
    assert nothing == {"none": None}


def test_clusters_count_and_not_their_members():
    rng = np.random.default_rng(0)
    means = rng.normal(size=40)
    clusters = np.repeat(np.arange(40), 25)
    values = means[clusters]
    low, high = clustered_interval(values, clusters)
    spread = 1.96 * means.std() / np.sqrt(40)
    np.testing.assert_allclose(
        [low, high], [means.mean() - spread, means.mean() + spread], atol=0.1 * spread
    )
    single = clustered_interval(values, np.arange(len(values)))
    assert single[1] - single[0] < (high - low) / 3
    assert clustered_interval(values, clusters) == (low, high)


def test_clusters_of_different_size_are_weighted_by_it():
    values, clusters = np.array([1.0] + [0.0] * 9), np.array([7] + [3] * 9)
    low, high = clustered_interval(values, clusters)
    assert (low, high) == (0.0, 1.0)
    assert clustered_interval(np.ones(3), np.zeros(3)) == (1.0, 1.0)


def test_rows_are_drawn_by_chance_in_order_and_the_same_each_time():
    rows = drawn_rows(1000, 100)
    assert len(set(rows.tolist())) == 100 and (np.diff(rows) > 0).all() and rows[0] < 100 < rows[-1]
    assert rows.tolist() == drawn_rows(1000, 100).tolist()
    assert drawn_rows(3, 3).tolist() == [0, 1, 2]
