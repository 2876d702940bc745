"""Confidence interval of a mean whose values come in clusters."""

import numpy as np


def clustered_interval(
    values: np.ndarray,
    clusters: np.ndarray,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval of the mean; whole clusters are drawn.

    Images of one person succeed or fail together, so an interval over single images would be
    too narrow.

    Args:
        values: (N,) numbers.
        clusters: (N,) what each belongs to.
        draws: bootstrap samples.
        level: share of the samples' means that lie inside, 0 to 1.
        seed: of the samples.

    Returns:
        Lower and upper end.
    """
    _, of = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(of, values), np.bincount(of)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), draws)
    means = drawn @ sums / (drawn @ counts)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)
