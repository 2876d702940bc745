"""Intervals over clusters are wider than over single values, and cover the truth."""

import numpy as np

from finegrain.evaluation.clustered_interval import clustered_interval


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
