"""How well does a score tell pairs of one class from pairs of two: ROC AUC and equal error rate."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

PAIRS = 20_000
# Pairs whose embeddings are gathered at a time.
PAIR_BLOCK = 2048

# (P, D) and (P, D), P at most a block -> (P,), larger for pairs more likely of one class.
PairScore = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pairs:
    """Pairs of different images: (P,) row numbers, and bool whether both are of one class."""

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray

    def scores(self, embeddings: np.ndarray, score: PairScore) -> np.ndarray:
        """(P,) scores of the pairs; embeddings (N, D)."""
        starts = range(0, len(self.same), PAIR_BLOCK)
        blocks = [slice(start, start + PAIR_BLOCK) for start in starts]
        return np.concatenate(
            [score(embeddings[self.first[of]], embeddings[self.second[of]]) for of in blocks]
        )


def sample_pairs(labels: np.ndarray, most: int = PAIRS, seed: int = 0) -> Pairs:
    """Draw as many positive as negative pairs, no pair twice.

    Where there are fewer than `most` asks for, all of the rarer kind and as many of the other;
    none where all images are of one class, or each is of its own.
    """
    labels = np.asarray(labels, np.int64)
    rng = np.random.default_rng(seed)
    order = np.argsort(labels, kind="stable")
    in_order = labels[order]
    # Classes stand side by side: an image's partners of its own class end where others begin.
    ends = np.searchsorted(in_order, in_order, side="right")
    own = np.arange(1, len(labels) + 1)
    kinds = [(ends - own, own), (len(labels) - ends, ends)]
    count = min(most // 2, *(int(partners.sum()) for partners, _ in kinds))
    drawn = [_draw(partners, begins, count, rng) for partners, begins in kinds]
    first, second = np.hstack(drawn)
    return Pairs(order[first], order[second], np.repeat([True, False], count))


def _draw(
    partners: np.ndarray, begins: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """(2, P) pairs of places: place p has `partners[p]` partners, from place `begins[p]` on."""
    if not count:
        return np.empty((2, 0), np.int64)
    ends = np.cumsum(partners)
    numbers = np.sort(rng.choice(int(ends[-1]), count, replace=False))
    first = np.searchsorted(ends, numbers, side="right")
    return np.stack([first, begins[first] + numbers - (ends - partners)[first]])


def equal_error_rate(scores: np.ndarray, same: np.ndarray) -> float:
    """The error where as large a share of negative pairs is accepted as of positive ones refused.

    The ROC curve is taken as straight between its points. Scores (P,) are of both kinds.
    """
    accepted, found, _ = roc_curve(same, scores, drop_intermediate=False)
    return float(np.interp(0.0, accepted + found - 1, accepted))


class PairCurve:
    """The ROC curve of a score, and those of many bootstrap draws at once.

    What is drawn again is images, not pairs: an image that is hard to tell spoils all its pairs.
    A pair counts as often as both its images were drawn together (Owen 2007, arXiv 0712.1111).

    Scores (P,) are larger for pairs more likely of one class; there are pairs of both kinds.
    """

    def __init__(self, scores: np.ndarray, pairs: Pairs):
        self.auc = float(roc_auc_score(pairs.same, scores))
        self.equal_error_rate = equal_error_rate(scores, pairs.same)
        order = np.argsort(-scores, kind="stable")
        self._first, self._second = pairs.first[order], pairs.second[order]
        self._same = pairs.same[order]
        # A curve has a point after each group of pairs with one score.
        self._points = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
        self._last: tuple[np.ndarray, tuple[np.ndarray, np.ndarray]] | None = None

    def _rates(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shares of negative and of positive pairs accepted, (R, points + 1), from 0 to 1."""
        # Both statistics ask for the same draws, one after the other.
        if self._last is not None and self._last[0] is draws:
            return self._last[1]
        images = draws.shape[1]
        times = np.stack([np.bincount(draw, minlength=images) for draw in draws]).astype("float32")
        weights = times[:, self._first] * times[:, self._second]
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

    def auc_of_draws(self, draws: np.ndarray) -> np.ndarray:
        """Draws (R, N) of images -> (R,)."""
        accepted, found = self._rates(draws)
        return np.trapezoid(found, accepted, axis=1)

    def equal_error_rate_of_draws(self, draws: np.ndarray) -> np.ndarray:
        """Draws (R, N) of images -> (R,)."""
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
