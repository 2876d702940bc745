"""What one process takes for the nearest of many embeddings, exactly or by an index."""

import json
import time
from pathlib import Path

import numpy as np

QUERIES, NEIGHBOURS, ALONE = 100, 10, 5


def measure_search(features, step: str, said: Path) -> None:
    """Make an index of the training rows, or ask for the nearest of validation rows.

    Args:
        features: the opened file, with the splits train and valid.
        step: `index` makes it; `exact` and `approximate` search.
        said: file for a list of words: CPU milliseconds of a query alone, and of each of 100 asked
            together, and recall at 10.
    """
    from finegrain.embeddings.all_rows import AllRows
    from finegrain.embeddings.approximate import open_approximate
    from finegrain.embeddings.search import ExactSearch

    rows = AllRows(features, ["train"])
    search = ExactSearch(rows) if step == "exact" else open_approximate(rows)
    if step == "index":
        said.write_text(json.dumps(["", "", f"{search.recall:.3f}"]))
        return
    query = AllRows(features, ["valid"]).read(np.arange(QUERIES))
    started = time.process_time()
    for number in range(ALONE):
        search.nearest(query[number : number + 1], NEIGHBOURS)
    alone = (time.process_time() - started) / ALONE
    started = time.process_time()
    found = search.nearest(query, NEIGHBOURS)
    together = (time.process_time() - started) / QUERIES
    kept = said.with_name(f"exact-{len(rows)}.npy")
    if step == "exact":
        np.save(kept, found.rows)
    pairs = zip(found.rows, np.load(kept), strict=True)
    recall = np.mean([len(np.intersect1d(*pair)) / NEIGHBOURS for pair in pairs])
    said.write_text(json.dumps([f"{alone * 1e3:.2f}", f"{together * 1e3:.2f}", f"{recall:.3f}"]))
