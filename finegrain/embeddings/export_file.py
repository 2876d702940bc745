"""The file of an export: made or opened to go on, refused when made from something else, closed."""

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from finegrain.embeddings.photographs import ExportedPhotos, ViewPlan
from finegrain.embeddings.shard import Shard
from finegrain.embeddings.source import EmbeddingSource
from finegrain.errors import UserError
from finegrain.features.compute import BATCH
from finegrain.features.probe import Judged, draw_probe
from finegrain.frame import Frame
from finegrain.images.pixels import PhotoFiles
from finegrain.inference.openvino_engine import AskedPrecision
from finegrain.memory import size_in_words
from finegrain.models.heads import EMBEDDING
from finegrain.regular_file import refuse_special
from finegrain.runs.run_folder import versions
from finegrain.stores.row_layout import FEATURE_DTYPE, RowKind
from finegrain.stores.row_store import DamagedStore, RowStore
from finegrain.whole_files import remove_partials, written_whole

CLASS = "class"
ROW_COLUMNS = ("path", "id", "label", "group", "view")
UNREADABLE, UNREADABLE_ID, REASON = "unreadable", "unreadable_id", "unreadable_reason"
SHARD, VERSIONS, MADE_FROM = "shard", "versions", "made_from"
# Rows copied at a time.
BLOCK = 4096


@dataclass(frozen=True)
class Export:
    """What all files of one export, in one folder, have in common.

    Classes stand in index order; the category ids are what a JSON's leaderboard calls them, None
    where it takes the names. Photographs go by split. How precisely a network may be computed
    `Judged` says, by the photographs of the first split; None leaves it to `open_inference`. Of a
    shard `photos` are still all photographs, and `parts` those that its files hold.
    """

    folder: Path
    classes: list[str]
    data_digest: str
    photos: Mapping[str, ExportedPhotos]
    views: ViewPlan
    openvino: bool
    category_ids: list[str] | None = None
    inference: AskedPrecision | None = None
    shard: Shard | None = None

    @cached_property
    def parts(self) -> Mapping[str, ExportedPhotos]:
        """The photographs that have rows in its files, by split."""
        if self.shard is None:
            return self.photos
        parts = {}
        for split, photos in self.photos.items():
            stretch = self.shard.stretch(len(photos.paths), self.batch(split))
            parts[split] = photos.part(*stretch)
        return parts

    def batch(self, split: str) -> int:
        """Photographs computed at a time, with all views of each as far as that goes."""
        return max(1, BATCH // self.views.count(split))

    def judged(self, frame: Frame) -> Judged | None:
        """How embeddings of these photographs in a frame may be computed."""
        if self.inference is None:
            return None
        first = next(iter(self.photos.values()))
        photos = PhotoFiles(first.paths, frame)
        return Judged(self.inference, lambda: draw_probe(first.labels, photos.read), None)

    def path(self, source: EmbeddingSource) -> Path:
        """The file of a backbone, or of this shard of it."""
        stem = source.name if self.shard is None else self.shard.file_stem(source.name)
        return self.folder / f"{stem}.h5"

    def rows(self) -> dict[str, int]:
        """Split -> rows, a row for each view of each photograph."""
        return {
            split: len(photos.paths) * self.views.count(split)
            for split, photos in self.parts.items()
        }

    def rows_of_all_shards(self) -> int:
        """Rows of the whole export, of which a shard has some."""
        return sum(
            len(photos.paths) * self.views.count(split) for split, photos in self.photos.items()
        )

    def columns(self) -> dict[str, dict[str, Any]]:
        """What describes the rows: column -> split -> entries; and the classes."""
        columns: dict[str, dict[str, Any]] = {name: {} for name in ROW_COLUMNS}
        for split, photos in self.parts.items():
            count = self.views.count(split)
            columns["path"][split] = photos.names * count
            columns["id"][split] = photos.ids * count
            columns["label"][split] = np.tile(photos.labels, count)
            columns["group"][split] = np.tile(photos.groups, count)
            columns["view"][split] = np.repeat(np.arange(count), len(photos.names))
        # Not an attribute: those hold 64 KB at most.
        columns[CLASS] = {"names": self.classes}
        if self.category_ids is not None:
            columns[CLASS]["category_ids"] = self.category_ids
        return columns


def export_key(export: Export, source: EmbeddingSource) -> dict[str, Any]:
    """All that the rows of a file depend on, as JSON values.

    That of a shard is the key of the whole export, which shard it is, and the versions: its rows
    stand beside those of other machines.
    """
    exactly = "" if export.inference in (None, "auto") else f" {export.inference}"
    key = {
        "backbone": source.title,
        "weights": source.weights,
        "network": source.network,
        **source.frame.key(),
        "views": export.views.described(),
        "data": export.data_digest,
        "images": {split: photos.digest for split, photos in export.photos.items()},
        "engine": f"openvino{exactly}" if export.openvino else "keras",
    }
    if export.shard is not None:
        key |= {SHARD: str(export.shard), VERSIONS: versions()}
    return key


def stored_key(path: Path) -> dict[str, Any] | None:
    """What the rows of a file were made from; None where it does not tell."""
    return stored_note(path, "key")


def stored_note(path: Path, name: str) -> dict[str, Any] | None:
    """An attribute of a file, as a table of JSON values; None where there is no such."""
    with contextlib.suppress(OSError, KeyError, ValueError, RuntimeError, TypeError):
        refuse_special(path)
        with h5py.File(path, "r", locking=False) as file:
            note = json.loads(file.attrs[name])
            return note if isinstance(note, dict) else None
    return None


def open_export_file(export: Export, source: EmbeddingSource) -> RowStore:
    """The file of a backbone: made, or opened to go on.

    Raises:
        UserError: a file of that name is damaged, is being filled by another process, or was
            made from something else, which is named; or the disk has no room for a new one.
    """
    path, key = export.path(source), export_key(export, source)
    kinds = {EMBEDDING: RowKind((source.width,), FEATURE_DTYPE)}
    if path.exists():
        try:
            store = RowStore(path, key)
            rows, there = export.rows(), store.splits
            # A finished one may lack images.
            same = set(there) == set(rows) if is_finished(store) else there == rows
            # One from before embeddings were rounded goes on as it was begun.
            before = {EMBEDDING: RowKind((source.width,), "float32")}
            if store.kinds not in (kinds, before) or not same:
                store.close()
                raise DamagedStore(f"{path} has not the rows that it was made for")
        except DamagedStore as error:
            raise UserError(_why_not(path, key, error)) from error
    else:
        _check_room(path, kinds[EMBEDDING].row_bytes * sum(export.rows().values()))
        store = RowStore.create(path, key, kinds, export.rows(), export.columns(), _notes(source))
    if not store.writable:
        store.close()
        raise UserError(f"another process is filling {path}; wait until it has ended")
    remove_partials(path.parent, path.name)
    return store


def is_finished(store: RowStore) -> bool:
    """Whether every row is there."""
    return all(store.done(split).all() for split in store.splits)


def close_up(
    store: RowStore,
    export: Export,
    source: EmbeddingSource,
    unreadable: Mapping[str, Mapping[int, str]],
) -> None:
    """Make a file final and close it: photographs that could not be read lose their rows.

    They are listed, by the reasons of `unreadable`: split -> image index -> reason.
    """
    store.flush()
    if is_finished(store):
        store.close()
        return
    columns, kept = export.columns(), {}
    columns |= {UNREADABLE: {}, UNREADABLE_ID: {}, REASON: {}}
    for split, photos in export.parts.items():
        # Row `view * N + image`; an image with one view missing is given up.
        views = export.views.count(split)
        whole = store.done(split).reshape(views, len(photos.names)).all(axis=0)
        kept[split] = np.flatnonzero(np.tile(whole, views))
        for name in ROW_COLUMNS:
            entries = columns[name][split]
            columns[name][split] = [entries[row] for row in kept[split]]
        lost = np.flatnonzero(~whole).tolist()
        if lost:
            columns[UNREADABLE][split] = [photos.names[image] for image in lost]
            columns[UNREADABLE_ID][split] = [photos.ids[image] for image in lost]
            columns[REASON][split] = [unreadable[split].get(image, "") for image in lost]
    key, counts = export_key(export, source), {split: len(rows) for split, rows in kept.items()}
    with written_whole(store.path) as beside:
        final = RowStore.create(beside, key, store.kinds, counts, columns, _notes(source))
        for split, rows in kept.items():
            for start in range(0, len(rows), BLOCK):
                block = rows[start : start + BLOCK]
                values = {EMBEDDING: store.read(EMBEDDING, split, block)}
                final.write(split, np.arange(start, start + len(block)), values)
        final.close()
    store.close()


def _notes(source: EmbeddingSource) -> dict[str, Any]:
    """Attributes that tell where a file comes from, without being part of what it is."""
    return {VERSIONS: versions(), MADE_FROM: source.made_from}


def _why_not(path: Path, key: Mapping[str, Any], error: DamagedStore) -> str:
    made_from = stored_key(path)
    if made_from is None or made_from == key:
        return f"{error}; remove it and start the same command again, which makes it anew"
    names = [name for name in key if made_from.get(name) != key[name]]
    return (
        f"{path} was made from something else (it differs in: {', '.join(names)}) and is left as "
        "it is; give another --output, or remove it"
    )


def _check_room(path: Path, needed: int) -> None:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{path} needs {size_in_words(needed)} and the disk has {size_in_words(free)} left; "
            "free some, or give another --output"
        )
