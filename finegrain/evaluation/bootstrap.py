"""Bootstrap intervals: how far a measure would move on other images of the same kind."""

from collections.abc import Callable, Mapping

import numpy as np

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)
# Numbers held at a time.
BLOCK = 2_000_000

# Draws (R, N) of row numbers -> (R,), the measure of each draw; NaN where it has none.
Statistic = Callable[[np.ndarray], np.ndarray]
Interval = tuple[float, float]


def intervals(
    statistics: Mapping[str, Statistic], count: int, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Interval | None]:
    """95 % percentile intervals (Efron 1979, "Bootstrap Methods: Another Look at the Jackknife").

    N images are drawn from the N with replacement, a thousand times; all measures see the same
    draws. An interval tells what other validation images would have done, not what another
    training would have done; it is None where no draw has the measure.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    at_a_time = max(1, min(resamples, BLOCK // count))
    for start in range(0, resamples, at_a_time):
        rows = min(at_a_time, resamples - start)
        draws = rng.integers(0, count, (rows, count), dtype=np.int32)
        for name, statistic in statistics.items():
            found[name].append(statistic(draws))
    return {name: _percentiles(np.concatenate(values)) for name, values in found.items()}


def clustered_interval(values: np.ndarray, clusters: np.ndarray) -> Interval:
    """95 % bootstrap interval of a mean whose values come in clusters; whole clusters are drawn.

    Images of one person succeed or fail together, so an interval over single images would be
    too narrow. Values (N,), and the cluster of each, (N,).
    """
    _, of = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(of, values), np.bincount(of)
    shares = np.full(len(counts), 1 / len(counts))
    drawn = np.random.default_rng(0).multinomial(len(counts), shares, RESAMPLES)
    low, high = np.percentile(drawn @ sums / (drawn @ counts), PERCENTILES)
    return float(low), float(high)


def mean_of(values: np.ndarray) -> Statistic:
    """The mean of one number an image, (N,), as a statistic."""
    values = np.asarray(values, "float32")
    return lambda draws: values[draws].mean(axis=1, dtype="float64")


def counted(
    draws: np.ndarray, categories: np.ndarray, bins: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """(R, bins): how often each category was drawn, or the sums of the weights (N,) of those drawn.

    Draws (R, N) are row numbers, categories (N,) 0 to bins - 1.
    """
    rows = len(draws)
    places = categories.astype(np.int64)[draws]
    places += np.arange(rows)[:, None] * bins
    drawn = None if weights is None else weights[draws].ravel()
    return np.bincount(places.ravel(), drawn, rows * bins).reshape(rows, bins)


def drawn_rows(count: int, most: int) -> np.ndarray:
    """Up to `most` of N row numbers, by chance and in order; all where there are no more."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def _percentiles(values: np.ndarray) -> Interval | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high)
