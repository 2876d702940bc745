"""Cosine distances between two sets of embeddings, block by block."""

from collections.abc import Iterator

import numpy as np

# Rows of distances at a time: 256 x 20,000 take 20 MB.
BLOCK = 256
# Lengths below lose digits in float32.
SMALLEST = 1e-15


def unit_rows(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings of length 1, (N,D) float32; a row of zeros stays one.

    Raises:
        ValueError: not (N,D), or a number that is not finite.
    """
    rows = np.asarray(embeddings, "float32")
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise ValueError(
            "embeddings must be (N,D) and finite. "
            f"Received: shape {rows.shape}, all finite: {bool(np.isfinite(rows).all())}"
        )
    with np.errstate(over="ignore", under="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows)).astype("float64")
    # The squares of very large or small numbers are beyond float32.
    odd = ~((lengths > SMALLEST) & np.isfinite(lengths))
    lengths[odd] = np.linalg.norm(rows[odd].astype("float64"), axis=1)
    lengths[lengths == 0] = 1
    unit = np.empty_like(rows)
    np.divide(rows, lengths[:, None], out=unit, casting="same_kind")
    return unit


def cosine_distances(
    query: np.ndarray, gallery: np.ndarray, block: int = BLOCK
) -> Iterator[np.ndarray]:
    """One minus the cosine, from 0 (the same direction) to 2.

    Args:
        query: (Q,D) embeddings of any length.
        gallery: (G,D) embeddings of any length.
        block: rows at a time.

    Yields:
        (B,G) float32, the rows of the query in order.
    """
    query, gallery = unit_rows(query), unit_rows(gallery)
    for start in range(0, len(query), block):
        yield np.maximum(1 - query[start : start + block] @ gallery.T, 0)
