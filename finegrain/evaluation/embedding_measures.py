"""How good are embeddings? Retrieval within a set of images tells, and a linear model on top."""

from dataclasses import dataclass

import numpy as np

from finegrain.embeddings.nearest import unit_rows

RANKS = (1, 5, 10)
QUERIES = 256


@dataclass(frozen=True)
class NeighbourRanks:
    """What each query found; arrays (Q,)."""

    # row numbers of the images that have another one of their class
    queries: np.ndarray
    # rank of the first image of the query's class, from 1
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

    It learns from the rows of (N, D) where `learn` is true and is tested on the others. The
    strength is the inverse of the regularisation, scikit-learn's C.
    """
    # Takes a second to import, which few users of this file need.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    head.fit(features[learn], labels[learn])
    return float(head.score(features[~learn], labels[~learn]))
