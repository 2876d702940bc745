"""How good are embeddings: pairs told apart, neighbours of one class, a linear model on top."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from finegrain.embeddings.nearest import unit_rows

PAIRS = 20_000
# Pairs whose embeddings are gathered at a time.
PAIR_BLOCK = 2048
RANKS = (1, 5, 10)
QUERIES = 256

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
    """As many positive as negative pairs, none twice: `most` in all, or as many as there are."""
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
    """An error where as large a share of negative pairs is accepted as of positive ones refused."""
    accepted, found, _ = roc_curve(same, scores, drop_intermediate=False)
    return float(np.interp(0.0, accepted + found - 1, accepted))


class PairCurve:
    """The ROC curve of a score, and those of many bootstrap draws at once.

    What is drawn again is images, not pairs: an image that is hard to tell spoils all its pairs.
    A pair counts as often as both its images were drawn together (Owen 2007, arXiv 0712.1111).
    Scores (P,) are as those of a `PairScore`; there are pairs of both kinds.
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


@dataclass(frozen=True)
class NeighbourRanks:
    """What queries (row numbers) found, (Q,): the rank, from 1, of the first of their class."""

    queries: np.ndarray
    first: np.ndarray
    average_precision: np.ndarray


def neighbour_ranks(embeddings: np.ndarray, labels: np.ndarray) -> NeighbourRanks:
    """Each image asks all others, by cosine similarity; embeddings (N, D) are finite.

    Images of classes with no other image ask nothing, but are there to be found. Ties are read
    against the model: of images equally like the query those of other classes come first, and
    average precision counts all of them as found, as scikit-learn's does. So the order of the
    images does not matter. Memory holds 256 rows of similarities, however many images there are.
    """
    embeddings, labels = unit_rows(embeddings), np.asarray(labels)
    _, numbers, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(numbers, kind="stable")
    members = np.split(order, np.cumsum(sizes)[:-1])
    # Queries of a class stand together; their matches are the same rows.
    queries = order[sizes[numbers[order]] > 1]
    first, precision = np.empty(len(queries), np.int64), np.empty(len(queries))
    for start in range(0, len(queries), QUERIES):
        block = queries[start : start + QUERIES]
        alike = embeddings[block] @ embeddings.T
        # The query itself stands below all others, and is no match.
        alike[np.arange(len(block)), block] = -np.inf
        for place, query in enumerate(block):
            matches = members[numbers[query]]
            found = alike[place, matches[matches != query]]
            first[start + place], precision[start + place] = _ranks(alike[place], found)
    return NeighbourRanks(queries, first, precision)


def _ranks(alike: np.ndarray, matches: np.ndarray) -> tuple[int, float]:
    """Rank of the best match, and average precision, from similarities of all and of matches."""
    matches = np.sort(matches)
    ordered = np.sort(alike)
    # How many of all, and of the matches, are at least as like the query as each match.
    of_all = len(ordered) - np.searchsorted(ordered, matches, side="left")
    of_matches = len(matches) - np.searchsorted(matches, matches, side="left")
    return int(of_all[-1] - of_matches[-1] + 1), float((of_matches / of_all).mean())


def linear_probe(
    features: np.ndarray, labels: np.ndarray, learn: np.ndarray, strength: float = 0.1
) -> float:
    """Top-1 accuracy, 0 to 1, of logistic regression on frozen, standardised embeddings.

    It learns from the rows of (N, D) where `learn` is true and is tested on the others; the
    strength is scikit-learn's C.
    """
    # Takes a second to import, which few users of this file need.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    head.fit(features[learn], labels[learn])
    return float(head.score(features[~learn], labels[~learn]))
