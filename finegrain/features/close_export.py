"""The end of an export: photographs that could not be read lose their rows and are listed."""

from collections.abc import Mapping

import numpy as np

from finegrain.features.embedding_source import EmbeddingSource
from finegrain.features.export_file import (
    ROW_COLUMNS,
    Export,
    export_columns,
    export_key,
    export_notes,
    is_finished,
)
from finegrain.models.classifier import EMBEDDING
from finegrain.stores.row_store import RowStore
from finegrain.whole_files import written_whole

UNREADABLE, UNREADABLE_ID, REASON = "unreadable", "unreadable_id", "unreadable_reason"
# Rows copied at a time.
BLOCK = 4096


def close_up(
    store: RowStore, export: Export, source: EmbeddingSource, unreadable: Mapping[str, dict]
) -> None:
    """Make a file final: photographs that could not be read lose their rows and are listed.

    Args:
        store: filled; closed afterwards.
        export: what it belongs to.
        source: of its embeddings.
        unreadable: split -> image index -> reason.
    """
    store.flush()
    if is_finished(store):
        store.close()
        return
    unreadable = dict(unreadable)
    columns = export_columns(export)
    kept = {}
    for split in store.splits:
        done, count = store.done(split), len(export.photos[split].names)
        views = done.reshape(-1, max(1, count))
        # Another file may have been given an image before it became unreadable.
        lacking = np.flatnonzero(~views.all(axis=0))
        unreadable[split] = {image: unreadable[split].get(image, "") for image in lacking.tolist()}
        kept[split] = np.flatnonzero(views.all(axis=0)[np.arange(len(done)) % max(1, count)])
    for name in ROW_COLUMNS:
        for split, rows in kept.items():
            entries = columns[name][split]
            columns[name][split] = [entries[row] for row in rows]
    for split, reasons in unreadable.items():
        if not reasons:
            continue
        photos = export.photos[split]
        columns.setdefault(UNREADABLE, {})[split] = [photos.names[image] for image in reasons]
        columns.setdefault(UNREADABLE_ID, {})[split] = [photos.ids[image] for image in reasons]
        columns.setdefault(REASON, {})[split] = list(reasons.values())
    counts = {split: len(rows) for split, rows in kept.items()}
    notes = export_notes(export, source)
    with written_whole(store.path) as beside:
        whole = RowStore.create(beside, export_key(export, source), store.kinds, counts, columns, notes)
        for split, rows in kept.items():
            for start in range(0, len(rows), BLOCK):
                some = rows[start : start + BLOCK]
                values = {EMBEDDING: store.read(EMBEDDING, split, some)}
                whole.write(split, np.arange(start, start + len(some)), values)
        whole.close()
    store.close()
