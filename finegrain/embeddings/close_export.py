"""The end of an export: photographs that could not be read lose their rows and are listed."""

from collections.abc import Mapping

import numpy as np

from finegrain.embeddings.embedding_source import EmbeddingSource
from finegrain.embeddings.export_file import (
    ROW_COLUMNS,
    Export,
    export_columns,
    export_key,
    export_notes,
    is_finished,
)
from finegrain.models.image_heads import EMBEDDING
from finegrain.stores.row_store import RowStore
from finegrain.whole_files import written_whole

UNREADABLE, UNREADABLE_ID, REASON = "unreadable", "unreadable_id", "unreadable_reason"
# Rows copied at a time.
BLOCK = 4096


def close_up(
    store: RowStore,
    export: Export,
    source: EmbeddingSource,
    unreadable: Mapping[str, Mapping[int, str]],
) -> None:
    """Make a file final: photographs that could not be read lose their rows and are listed.

    Args:
        store: filled but for those; closed afterwards.
        export: what it belongs to.
        source: of its embeddings.
        unreadable: split -> image index -> reason.
    """
    store.flush()
    if not is_finished(store):
        _write_without_gaps(store, export, source, unreadable)
    store.close()


def _write_without_gaps(
    store: RowStore,
    export: Export,
    source: EmbeddingSource,
    unreadable: Mapping[str, Mapping[int, str]],
) -> None:
    columns, kept = export_columns(export), {}
    columns |= {UNREADABLE: {}, UNREADABLE_ID: {}, REASON: {}}
    for split, photos in export.photos.items():
        # Row `view * N + image`; an image with one view missing is given up.
        whole = store.done(split).reshape(-1, max(1, len(photos.names))).all(axis=0)
        kept[split] = np.flatnonzero(np.tile(whole, export.views.count(split)))
        for name in ROW_COLUMNS:
            entries = columns[name][split]
            columns[name][split] = [entries[row] for row in kept[split]]
        lost = np.flatnonzero(~whole).tolist()
        if lost:
            columns[UNREADABLE][split] = [photos.names[image] for image in lost]
            columns[UNREADABLE_ID][split] = [photos.ids[image] for image in lost]
            columns[REASON][split] = [unreadable[split].get(image, "") for image in lost]
    key, notes = export_key(export, source), export_notes(export, source)
    counts = {split: len(rows) for split, rows in kept.items()}
    with written_whole(store.path) as beside:
        final = RowStore.create(beside, key, store.kinds, counts, columns, notes)
        for split, rows in kept.items():
            for start in range(0, len(rows), BLOCK):
                some = rows[start : start + BLOCK]
                values = {EMBEDDING: store.read(EMBEDDING, split, some)}
                final.write(split, np.arange(start, start + len(some)), values)
        final.close()
