"""An approximate index of embeddings, made once and kept beside them.

A navigable small world graph in layers (HNSW) by usearch: Malkov and Yashunin 2016, Efficient and
robust approximate nearest neighbor search using Hierarchical Navigable Small World graphs, arXiv
1603.09320. It only proposes rows: their distances are those of the embeddings themselves. How many
of the nearest it finds depends on the embeddings, and is measured when it is made.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import NonNegativeInt

from finegrain.embeddings.all_rows import AllRows
from finegrain.embeddings.nearest import Nearest, nearest, smallest
from finegrain.errors import UserError
from finegrain.memory import check_memory_fits
from finegrain.records import Record, read_record, write_record
from finegrain.regular_file import file_digest
from finegrain.whole_files import written_whole

RECALL_NEIGHBOURS = 10
# At least so many of the ten nearest, in the mean, or the search is exact.
RECALL_NEEDED = 0.95
# Recall is measured on so many rows, before they are added: a row of the graph is found far more
# easily than a new one, 0.998 instead of 0.887 of the nearest among 1,800 rows.
MEASURED = 300
# Neighbours of a node, and how many nodes are held in view when one is added: usearch's own.
CONNECTIVITY, EXPANSION_ADD = 16, 128
# Nodes held in view by a search; the first that finds enough is taken.
EXPANSIONS = (32, 64, 128, 256, 512)
# Cosines of float16 numbers at length 1 are equal as far as this.
SAME = 1e-6
# What a node takes beside its numbers while the graph grows.
NODE_BYTES = 600


class About(Record):
    """What an index file holds, kept in a file beside it."""

    # digest of the rows that it was made of
    embeddings: str
    # of the file, which is read as it is: a damaged one may crash the process
    sha256: str
    size: NonNegativeInt
    modified_ns: NonNegativeInt
    expansion: NonNegativeInt
    recall: float


class ApproximateIndex:
    """A graph of N rows, mapped from its file, and the rows themselves.

    Attributes:
        recall: of the ten nearest of some hundred rows, the part that it finds, 0 to 1.
    """

    def __init__(self, graph: Any, rows: AllRows, recall: float):
        self._graph, self._rows, self.recall = graph, rows, recall

    def nearest(self, query: np.ndarray, k: int) -> Nearest:
        """As `finegrain.embeddings.nearest.nearest`, with some of the nearest perhaps missed.

        Query (Q,D) comes from `unit_rows`; k rows are found, or all where there are fewer.
        """
        if k < 1 or not len(query):
            raise ValueError(f"`k` and the query must be at least 1. Received: {k}, {len(query)}")
        k = min(k, len(self._rows))
        proposed = _proposed(self._graph, query, k)
        if proposed is None:
            return nearest(self._rows.blocks(), query, k)
        return _ranked(self._rows, query, proposed)


def usearch_is_installed() -> bool:
    """Whether an index can be made and opened."""
    return importlib.util.find_spec("usearch") is not None


def check_usearch() -> None:
    """Refuse an approximate index where usearch is not installed, a `UserError`."""
    if not usearch_is_installed():
        raise UserError(
            "an approximate index needs usearch, which is not installed: "
            "pip install -r requirements-index.txt; or search exactly, with --search exact"
        )


def needed_memory(rows: AllRows) -> int:
    """Bytes that a graph of the rows takes while it is made."""
    return len(rows) * (2 * rows.width + NODE_BYTES)


def open_approximate(rows: AllRows, threads: int = 0) -> ApproximateIndex:
    """The index of rows, at least one, made where it does not stand beside their file yet.

    One that is damaged, or of other rows, is made anew. Stopped while it is made, the same call
    begins again.

    Args:
        threads: that build it, 0 for all cores.

    Raises:
        UserError: memory cannot hold it, the disk is full, or an embedding cannot be read.
    """
    path = rows.beside(".usearch")
    digest = rows.digest()
    about = _about(path)
    if about is not None and about.embeddings == digest and _is_whole(path, about):
        graph = _mapped(path)
        if graph is not None and len(graph) == len(rows):
            graph.expansion_search = about.expansion
            return ApproximateIndex(graph, rows, about.recall)
    check_memory_fits(
        needed_memory(rows), "an approximate index", "search exactly, with --search exact"
    )
    print(f"building an approximate index of {len(rows):,} embeddings", flush=True)
    expansion, recall = _build(path, rows, threads)
    graph = _mapped(path)
    if graph is None:
        raise UserError(f"{path} could not be opened again; remove it, or use --search exact")
    graph.expansion_search = expansion
    status = path.stat()
    about = About(
        embeddings=digest,
        sha256=file_digest(path),
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        expansion=expansion,
        recall=recall,
    )
    write_record(_about_path(path), about.model_dump())
    return ApproximateIndex(graph, rows, recall)


def _about_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _about(path: Path) -> About | None:
    try:
        return read_record(_about_path(path), About, "it is made anew")
    except (UserError, OSError):
        return None


def _is_whole(path: Path, about: About) -> bool:
    if not path.is_file():
        return False
    status = path.stat()
    if status.st_size != about.size:
        return False
    # Reading all of it takes as long as an exact search may take.
    return status.st_mtime_ns == about.modified_ns or file_digest(path) == about.sha256


def _mapped(path: Path) -> Any | None:
    from usearch.index import Index

    try:
        return Index.restore(path, view=True, enable_key_lookups=False)
    except (RuntimeError, ValueError, KeyError):
        return None


def _build(path: Path, rows: AllRows, threads: int) -> tuple[int, float]:
    """Write the graph; the expansion to search it with, and the recall, as of `_measured`."""
    from usearch.index import Index

    graph = Index(
        ndim=rows.width,
        metric="ip",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        enable_key_lookups=False,
    )
    later = rows.spread(min(MEASURED, len(rows) // 10))
    for numbers, block in _without(rows, later):
        graph.add(numbers, block, threads=threads)
    measured = _measured(graph, rows, later)
    if len(later):
        graph.add(later, rows.read(later), threads=threads)
    with written_whole(path, graph.serialized_length) as beside:
        graph.save(beside)
        if beside.stat().st_size != graph.serialized_length:
            raise OSError(f"{beside.stat().st_size} bytes of {graph.serialized_length} are there")
    return measured


def _without(rows: AllRows, left_out: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers (B,) and embeddings (B,D) of all other rows."""
    first = 0
    for block in rows.blocks():
        numbers = np.arange(first, first + len(block))
        first += len(block)
        kept = ~np.isin(numbers, left_out)
        yield numbers[kept], block[kept]


def _measured(graph: Any, rows: AllRows, queries: np.ndarray) -> tuple[int, float]:
    """The least expansion with which enough is found, or the largest; and the recall with it.

    The queries are rows that the graph does not have yet. Without any, all is looked at.
    """
    if not len(queries):
        return EXPANSIONS[-1], 1.0
    query, k = rows.read(queries), min(RECALL_NEIGHBOURS, len(graph))
    exact = nearest((block for _, block in _without(rows, queries)), query, k)
    recall = 0.0
    for expansion in EXPANSIONS:
        graph.expansion_search = expansion
        proposed = _proposed(graph, query, k)
        if proposed is not None:
            found = _ranked(rows, query, proposed).distances
            # Of rows at equal distances any will do.
            recall = float((found <= exact.distances[:, -1:] + SAME).mean())
        if recall >= RECALL_NEEDED:
            break
    return expansion, recall


def _proposed(graph: Any, query: np.ndarray, k: int) -> np.ndarray | None:
    """Numbers of rows (Q,k); None where a query has fewer in reach, as among many equal rows."""
    matches = graph.search(query, k)
    # usearch answers a query that is alone without the axis of queries.
    fewest = len(matches) if len(query) == 1 else matches.counts.min()
    return matches.keys.astype("int64").reshape(-1, k) if fewest >= k else None


def _ranked(rows: AllRows, query: np.ndarray, proposed: np.ndarray) -> Nearest:
    """Rows (Q,k) by their own distances, of equal ones the earlier row first."""
    proposed = np.sort(proposed, axis=1)
    numbers, places = np.unique(proposed, return_inverse=True)
    near = rows.read(numbers)[places.reshape(proposed.shape)]
    distances = np.maximum(1 - np.einsum("qd,qkd->qk", query, near), 0)
    order = smallest(distances, proposed.shape[1])
    return Nearest(*(np.take_along_axis(each, order, 1) for each in (distances, proposed)))
