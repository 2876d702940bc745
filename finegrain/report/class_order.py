"""An order of classes in which those that are taken for each other stand together."""

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import leaves_list, linkage

from finegrain.report.confusions import confused_pairs

# Clustering compares all pairs: 2,000 classes take seconds, 10,000 would take gigabytes.
MOST_CLUSTERED = 2_000
# The best order of a tree's leaves costs the cube of their number at worst.
MOST_ORDERED_BEST = 300


def look_alike_order(counts: sparse.csr_array) -> np.ndarray:
    """Order classes by hierarchical clustering of their confusions.

    Classes are alike if their photographs get the same answers: each class is described by the
    shares in which it is given to others and others to it; average linkage on the cosine distance
    of these rows makes a tree, whose leaves are put so that neighbours differ least (Bar-Joseph
    et al. 2001, "Fast optimal leaf ordering for hierarchical clustering").

    Args:
        counts: (C,C) confusions; see `count_confusions`.

    Returns:
        (C,) int64 class indices. Classes without any mistake follow last, in their own order, and
        so do those beyond the `MOST_CLUSTERED` most confused.
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
    """The classes of the most confused pairs, the most confused first.

    Args:
        counts: (C,C) confusions.
        most: classes at most.

    Returns:
        (at most `most`,) class indices; classes that are in no mistake are not among them.
    """
    found: dict[int, None] = {}
    for pair in confused_pairs(counts, most * most):
        for number in (pair.one, pair.other):
            if len(found) < most:
                found.setdefault(number)
        if len(found) == most:
            break
    return np.array(list(found), np.int64)
