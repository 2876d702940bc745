"""Exact search for the nearest embeddings, one block of the index after the other.

scikit-learn searches each block. Measured with 100,000 x 1,280 numbers for 100 queries, its exact
search took half the CPU time of faiss-cpu's (0.7 s against 1.4 s), without faiss's copy of all
embeddings. Going through blocks, a million photographs need no more memory than one block.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from sklearn import config_context
from sklearn.neighbors import NearestNeighbors

from finegrain.embeddings.embedding_distances import unit_rows


class Nearest(NamedTuple):
    """The K nearest of each of Q queries, nearest first.

    Attributes:
        distances: (Q,K) cosine distances, 0 to 2.
        rows: (Q,K) numbers of the rows, counted through all blocks.
    """

    distances: np.ndarray
    rows: np.ndarray


def nearest_embeddings(blocks: Iterable[np.ndarray], query: np.ndarray, k: int) -> Nearest:
    """Find the k embeddings with the smallest cosine distance.

    Args:
        blocks: (B,D) rows of the index, of any length; read once, one at a time.
        query: (Q,D).
        k: how many; fewer come back where the index has fewer. The earlier row stands first at
            equal distances.

    Raises:
        ValueError: k below 1, no query, or embeddings that are not (N,D) and finite.
    """
    query = unit_rows(query)
    if k < 1 or not len(query):
        raise ValueError(f"`k` and the query must be at least 1. Received: {k}, {len(query)}")
    best = Nearest(np.empty((len(query), 0)), np.empty((len(query), 0), "int64"))
    for first, block in _numbered(blocks):
        best = _nearer(best, _searched(block, query, min(k, len(block)), first), k)
    return best


def _numbered(blocks: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    first = 0
    for block in blocks:
        if len(block):
            yield first, unit_rows(block)
        first += len(block)


def _searched(block: np.ndarray, query: np.ndarray, k: int, first: int) -> Nearest:
    # unit_rows has looked for numbers that are not finite.
    with config_context(assume_finite=True):
        index = NearestNeighbors(algorithm="brute", metric="sqeuclidean").fit(block)
        squared, rows = index.kneighbors(query, k)
    # Between vectors of length 1. One that has none is at a right angle to all.
    distances = squared / 2
    distances[~query.any(axis=1)] = 1
    distances[~np.any(block, axis=1)[rows]] = 1
    return Nearest(distances, rows + first)


def _nearer(one: Nearest, other: Nearest, k: int) -> Nearest:
    distances, rows = (np.hstack(both) for both in zip(one, other, strict=True))
    order = np.lexsort((rows, distances))[:, :k]
    return Nearest(*(np.take_along_axis(of, order, axis=1) for of in (distances, rows)))
