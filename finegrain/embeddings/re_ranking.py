"""Re-ranking by k-reciprocal neighbours, sparse.

Zhong et al. 2017, "Re-ranking Person Re-identification with k-reciprocal Encoding", arXiv
1701.08398. Two images that have each other among their nearest neighbours are likely the same
person; two that share such neighbours too. Each image is encoded by its reciprocal neighbours,
and the Jaccard distance of the encodings is mixed with the distance of the embeddings.

The code beside the paper holds two matrices of all images by all images, 2 GB each at the size
of Market-1501. Each image has only some dozens of reciprocal neighbours, so sparse matrices hold
the same numbers in some tens of megabytes, and the neighbours are found block by block.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from finegrain.embeddings.nearest import BLOCK, smallest, unit_rows

# Pairs of images whose distance is computed at a time.
PAIRS = 16_384


def re_ranked_distances(
    query: np.ndarray,
    gallery: np.ndarray,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    block: int = BLOCK,
) -> Iterator[np.ndarray]:
    """Distances after k-reciprocal re-ranking: blocks (B,G) float32, 0 to 1, of the query's rows.

    Embeddings are brought to length 1; their distance is the squared Euclidean one, divided by
    that of the query's farthest image. Neighbours are looked for among query (Q,D) and gallery
    (G,D), junk taken out; at equal distances the earlier image is nearer.

    Args:
        k1: nearest neighbours that may be reciprocal.
        k2: nearest neighbours whose encodings are averaged, the image itself included.
        weight: of the embeddings' own distance, 0 to 1; lambda in the paper.
    """
    if k1 < 1 or k2 < 1 or not 0 <= weight <= 1:
        raise ValueError(
            "`k1` and `k2` must be at least 1, `weight` from 0 to 1. "
            f"Received: {k1}, {k2}, {weight}"
        )
    count = len(query)
    images = unit_rows(np.concatenate([query, gallery]))
    neighbours, farthest = _nearest(images, max(k1 + 1, k2), block)
    encoding = _encoding(images, neighbours, farthest, k1)
    average = _links(neighbours[:, :k2]) / np.float32(min(k2, len(images)))
    encoding = (average @ encoding).tocsr()
    by_neighbour = encoding[count:].tocsc()
    for start in range(0, count, block):
        rows = range(start, min(start + block, count))
        own = _squared(images[rows.start : rows.stop] @ images[count:].T)
        own /= farthest[rows.start : rows.stop, None]
        jaccard = np.stack([_jaccard(encoding[row : row + 1], by_neighbour) for row in rows])
        yield ((1 - weight) * jaccard + weight * own).astype("float32")


def _squared(cosines: np.ndarray) -> np.ndarray:
    return np.maximum(2 - 2 * cosines, 0)


def _nearest(images: np.ndarray, count: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest images of each, itself first, (N,count); and the distance of its farthest."""
    total = len(images)
    nearest, farthest = np.empty((total, min(count, total)), "int64"), np.empty(total, "float32")
    for start in range(0, total, block):
        distances = _squared(images[start : start + block] @ images.T)
        rows = np.arange(len(distances))
        farthest[start + rows] = distances.max(axis=1)
        distances[rows, start + rows] = -1
        nearest[start + rows] = smallest(distances, count)
    # All images alike: any number will do.
    return nearest, np.where(farthest > 0, farthest, 1)


def _links(neighbours: np.ndarray) -> sparse.csr_array:
    """(N,N), one where an image has another as neighbour."""
    total, count = neighbours.shape
    ends, ones = np.arange(0, total * count + 1, count), np.ones(total * count, "float32")
    return sparse.csr_array((ones, neighbours.reshape(-1), ends), shape=(total, total))


def _reciprocal(neighbours: np.ndarray) -> sparse.csr_array:
    near = _links(neighbours)
    return near.multiply(near.T.tocsr()).tocsr()


def _encoding(
    images: np.ndarray, neighbours: np.ndarray, farthest: np.ndarray, k1: int
) -> sparse.csr_array:
    """(N,N), rows that sum to 1: Gaussian weights of each image's expanded reciprocal neighbours.

    A neighbour brings its own closer reciprocal neighbours along if more than two thirds of them
    are neighbours already.
    """
    # Python's round is numpy's around: 5 / 2 becomes 2.
    own = _reciprocal(neighbours[:, : k1 + 1])
    closer = _reciprocal(neighbours[:, : round(k1 / 2) + 1])
    shared = (own @ closer).multiply(own).tocoo()
    row, image = shared.row, shared.col
    trusted = 3 * shared.data > 2 * closer.sum(axis=1)[image]
    ones = np.ones(int(trusted.sum()), "float32")
    bringing = sparse.csr_array((ones, (row[trusted], image[trusted])), shape=own.shape)
    expanded = (own + bringing @ closer).tocsr()
    row, image = expanded.nonzero()
    weights = np.exp(-_pair_distances(images, row, image) / farthest[row])
    weights /= np.bincount(row, weights)[row]
    return sparse.csr_array((weights.astype("float32"), (row, image)), shape=own.shape)


def _pair_distances(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    cosines = np.empty(len(rows), "float32")
    for start in range(0, len(rows), PAIRS):
        pairs = slice(start, start + PAIRS)
        cosines[pairs] = np.einsum("nd,nd->n", images[rows[pairs]], images[columns[pairs]])
    return _squared(cosines)


def _jaccard(encoded: sparse.csr_array, by_neighbour: sparse.csc_array) -> np.ndarray:
    """Jaccard distance of one image's encoding, (1,N), to those of the gallery, (G,N)."""
    starts = by_neighbour.indptr[encoded.indices]
    counts = by_neighbour.indptr[encoded.indices + 1] - starts
    # The columns one after the other: where each entry stands among all.
    skipped = np.repeat(starts - np.cumsum(counts) + counts, counts)
    places = skipped + np.arange(counts.sum())
    least = np.minimum(by_neighbour.data[places], np.repeat(encoded.data, counts))
    shared = np.bincount(by_neighbour.indices[places], least, minlength=by_neighbour.shape[0])
    return 1 - shared / (2 - shared)
