"""How well does a score tell pairs of one class from pairs of two: ROC AUC and equal error rate."""

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from finegrain.evaluation.bootstrap import Interval, intervals
from finegrain.evaluation.pair_sampling import Pairs


def pair_measures(
    scores: np.ndarray, pairs: Pairs, images: int, seed: int = 0
) -> dict[str, tuple[float, Interval | None]]:
    """`auc` and `eer` of a score, with 95 % bootstrap intervals.

    What is drawn again is images, not pairs: an image that is hard to tell spoils all its pairs.
    A pair counts as often as both its images were drawn together (Owen 2007, arXiv 0712.1111).

    Args:
        scores: (P,), larger for pairs more likely of one class.
        pairs: the pairs, of both kinds.
        images: N, number of images the pairs were drawn from.
        seed: of the bootstrap.

    Returns:
        Name -> value and interval.
    """
    curve = _Curve(scores, pairs)
    bounds = intervals({"auc": curve.auc, "eer": curve.equal_error_rate}, images, seed)
    values = {
        "auc": float(roc_auc_score(pairs.same, scores)),
        "eer": equal_error_rate(scores, pairs.same),
    }
    return {name: (value, bounds[name]) for name, value in values.items()}


def equal_error_rate(scores: np.ndarray, same: np.ndarray) -> float:
    """The error where as large a share of negative pairs is accepted as of positive ones refused.

    The ROC curve is taken as straight between its points.

    Args:
        scores: (P,).
        same: (P,) bool, some of both.
    """
    accepted, found, _ = roc_curve(same, scores, drop_intermediate=False)
    return float(np.interp(0.0, accepted + found - 1, accepted))


class _Curve:
    """The ROC curves of many bootstrap draws at once."""

    def __init__(self, scores: np.ndarray, pairs: Pairs):
        order = np.argsort(-scores, kind="stable")
        self._one, self._other = pairs.one[order], pairs.other[order]
        self._same = pairs.same[order]
        # A curve has a point after each group of pairs with one score.
        self._points = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
        self._last: tuple[np.ndarray, tuple[np.ndarray, np.ndarray]] | None = None

    def _rates(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shares of negative and of positive pairs accepted, (R, points + 1), from 0 to 1."""
        if self._last is not None and self._last[0] is draws:
            return self._last[1]
        images = draws.shape[1]
        # Some rows at a time: the weights of all pairs are many numbers.
        times = np.stack([np.bincount(draw, minlength=images) for draw in draws]).astype("float32")
        weights = times[:, self._one] * times[:, self._other]
        accepted, found = (
            self._cumulative(np.where(kind, weights, 0)) for kind in (~self._same, self._same)
        )
        self._last = draws, (accepted, found)
        return accepted, found

    def _cumulative(self, weights: np.ndarray) -> np.ndarray:
        sums = np.cumsum(weights, axis=1, dtype="float64")[:, self._points]
        # A draw without pairs of a kind has no curve.
        with np.errstate(invalid="ignore"):
            return np.pad(sums / sums[:, -1:], ((0, 0), (1, 0)))

    def auc(self, draws: np.ndarray) -> np.ndarray:
        accepted, found = self._rates(draws)
        return np.trapezoid(found, accepted, axis=1)

    def equal_error_rate(self, draws: np.ndarray) -> np.ndarray:
        accepted, found = self._rates(draws)
        excess = accepted + found - 1
        after = (excess >= 0).argmax(axis=1)
        rows = np.arange(len(draws))
        before = np.maximum(after - 1, 0)
        high, low = excess[rows, after], excess[rows, before]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = -low / (high - low)
            step = accepted[rows, after] - accepted[rows, before]
            return accepted[rows, before] + share * step
