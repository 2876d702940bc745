"""Which classes are taken for which, and an order in which look-alikes stand together."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import leaves_list, linkage

from finegrain.report.answers import Answers

# Clustering compares all pairs: 2,000 classes take seconds, 10,000 would take gigabytes.
MOST_CLUSTERED = 2_000
# The best order of a tree's leaves costs the cube of their number at worst.
MOST_ORDERED_BEST = 300


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes, first < second, how often each was taken for the other, and all their images."""

    first: int
    second: int
    first_as_second: int
    second_as_first: int
    images: int

    @property
    def mistakes(self) -> int:
        """Both ways together."""
        return self.first_as_second + self.second_as_first


def count_confusions(answers: Answers) -> sparse.csr_array:
    """(C,C) int64 counts, row the class it is, column the class it was given."""
    ones = np.ones(len(answers), np.int64)
    shape = (len(answers.classes), len(answers.classes))
    return sparse.coo_array((ones, (answers.labels, answers.predicted)), shape).tocsr()


def confused_pairs(counts: sparse.csr_array, most: int) -> list[ConfusedPair]:
    """At most so many pairs, most mistakes first, the rarer classes first where these are equal."""
    both = sparse.triu(counts + counts.T, k=1).tocoo()
    sizes = np.asarray(counts.sum(axis=1)).reshape(-1)
    images = sizes[both.row] + sizes[both.col]
    order = np.lexsort((both.col, both.row, images, -both.data))[:most]
    if not len(order):
        return []
    first, second = both.row[order], both.col[order]
    columns = (first, second, counts[first, second], counts[second, first], images[order])
    rows = zip(*(np.asarray(column).reshape(-1).tolist() for column in columns), strict=True)
    return [ConfusedPair(*row) for row in rows]


def look_alike_order(counts: sparse.csr_array) -> np.ndarray:
    """(C,) class indices, ordered by hierarchical clustering of their confusions.

    Classes are alike if their photographs get the same answers: each class is described by the
    shares in which it is given to others and others to it; average linkage on the cosine distance
    of these rows makes a tree, whose leaves are put so that neighbours differ least (Bar-Joseph
    et al. 2001, "Fast optimal leaf ordering for hierarchical clustering"). Classes without any
    mistake follow last, in their own order, and so do those beyond the `MOST_CLUSTERED` most
    confused.
    """
    chosen = np.sort(most_confused(counts, MOST_CLUSTERED))
    others = np.setdiff1d(np.arange(counts.shape[0]), chosen)
    if len(chosen) > 2:
        block = counts[chosen][:, chosen].toarray().astype(np.float64)
        shares = block / np.maximum(block.sum(axis=1, keepdims=True), 1)
        alike = shares + shares.T
        lengths = np.linalg.norm(alike, axis=1, keepdims=True)
        rows = alike / np.maximum(lengths, np.finfo(float).tiny)
        # As pdist's "cosine", which takes a hundred times as long for 2,000 classes.
        distances = np.clip(1 - rows @ rows.T, 0, None)[np.triu_indices(len(chosen), 1)]
        tree = linkage(distances, "average", optimal_ordering=len(chosen) <= MOST_ORDERED_BEST)
        chosen = chosen[leaves_list(tree)]
    return np.concatenate([chosen, others]).astype(np.int64)


def most_confused(counts: sparse.csr_array, most: int) -> np.ndarray:
    """At most so many class indices, those of the most confused pairs first.

    Classes that are in no mistake are not among them.
    """
    pairs = confused_pairs(counts, most * most)
    found = dict.fromkeys(number for pair in pairs for number in (pair.first, pair.second))
    return np.array(list(found)[:most], np.int64)
