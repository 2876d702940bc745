"""The search among many embeddings: exact, or by an approximate index where there are very many."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from finegrain.embeddings.all_rows import AllRows
from finegrain.embeddings.approximate import (
    RECALL_NEEDED,
    RECALL_NEIGHBOURS,
    check_usearch,
    needed_memory,
    open_approximate,
    usearch_is_installed,
)
from finegrain.embeddings.nearest import Nearest, nearest
from finegrain.memory import total_memory

How = Literal["auto", "exact", "approximate"]
# From here on `auto` takes an approximate index.
MANY = 1_000_000


class Search(Protocol):
    """Finds the nearest among N embeddings."""

    def nearest(self, query: np.ndarray, k: int) -> Nearest:
        """The k nearest of each query (Q,D) from `unit_rows`; all N where k is larger."""
        ...


@dataclass(frozen=True)
class ExactSearch:
    """Reads all embeddings for every search, in blocks."""

    rows: AllRows

    def nearest(self, query: np.ndarray, k: int) -> Nearest:
        """See `Search`."""
        return nearest(self.rows.blocks(), query, k)


def open_search(rows: AllRows, how: How = "auto", threads: int = 0) -> Search:
    """What searches the rows of a file; an approximate index stands beside it.

    `auto` takes an approximate index from a million rows on, where usearch is installed and memory
    holds it. One whose recall is too low gives way to the exact search, with a line that says so.

    Args:
        threads: that build an index, 0 for all cores.

    Raises:
        UserError: an approximate index is asked for, and usearch is not installed or memory cannot
            hold the index; or the disk is full.
    """
    exact = ExactSearch(rows)
    if how == "exact" or (how == "auto" and len(rows) < MANY):
        return exact
    if how == "auto":
        if not usearch_is_installed():
            print(
                f"notice: each search reads all {len(rows):,} embeddings; an approximate index "
                "needs usearch: pip install -r requirements-index.txt",
                flush=True,
            )
            return exact
        if needed_memory(rows) > total_memory():
            print("notice: memory cannot hold an approximate index; the search is exact")
            return exact
    check_usearch()
    index = open_approximate(rows, threads)
    told = f"recall at {RECALL_NEIGHBOURS} of {index.recall:.3f} against the exact search"
    if index.recall < RECALL_NEEDED:
        print(f"notice: the approximate index has a {told}, below {RECALL_NEEDED}; it is left out")
        return exact
    print(f"search   approximate, with a {told}", flush=True)
    return index
