"""The file of an export: opened or made, and refused when made from something else."""

import contextlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from finegrain.embeddings.embedding_source import EmbeddingSource
from finegrain.embeddings.exported_photos import ExportedPhotos
from finegrain.embeddings.exported_views import ViewPlan
from finegrain.errors import UserError
from finegrain.features.feature_key import network_digest
from finegrain.memory import size_in_words
from finegrain.models.backbone import weights_digest
from finegrain.models.image_heads import EMBEDDING
from finegrain.regular_file import refuse_special
from finegrain.stores.row_layout import RowKind
from finegrain.stores.row_store import DamagedStore, RowStore
from finegrain.whole_files import remove_partials

CLASS = "class"
ROW_COLUMNS = ("path", "id", "label", "group", "view")


@dataclass(frozen=True)
class Export:
    """What all files of one export have in common.

    Attributes:
        folder: where the files stand.
        classes: class names in index order.
        data_digest: of the data set.
        photos: split -> its photographs.
        views: which views of each there are.
        openvino: whether OpenVINO may compute.
        notes: further attributes, such as versions.
        category_ids: what a JSON's leaderboard calls the classes, in their order; None where
            it takes the names.
    """

    folder: Path
    classes: list[str]
    data_digest: str
    photos: Mapping[str, ExportedPhotos]
    views: ViewPlan
    openvino: bool
    notes: Mapping[str, Any]
    category_ids: list[str] | None = None

    def path(self, source: EmbeddingSource) -> Path:
        """The file of a backbone."""
        return self.folder / f"{source.name}.h5"

    def rows(self) -> dict[str, int]:
        """Split -> rows, a row for each view of each photograph."""
        return {
            split: len(photos.paths) * self.views.count(split)
            for split, photos in self.photos.items()
        }


def open_export_file(export: Export, source: EmbeddingSource) -> RowStore:
    """The file of a backbone: made, or opened to go on.

    Raises:
        UserError: a file of that name is damaged, is being filled by another process, or was
            made from something else, which is named; or the disk has no room for a new one.
    """
    path, key = export.path(source), export_key(export, source)
    kinds = {EMBEDDING: RowKind((source.width,), "float32")}
    if path.exists():
        try:
            store = RowStore(path, key)
            _check_rows(store, kinds, export)
        except DamagedStore as error:
            raise UserError(_why_not(path, key, error)) from error
    else:
        _check_room(path, kinds[EMBEDDING].row_bytes * sum(export.rows().values()))
        store = RowStore.create(
            path, key, kinds, export.rows(), export_columns(export), export_notes(export, source)
        )
    if not store.writable:
        store.close()
        raise UserError(f"another process is filling {path}; wait until it has ended")
    remove_partials(path.parent, path.name)
    return store


def is_finished(store: RowStore) -> bool:
    """Whether every row is there."""
    return all(store.done(split).all() for split in store.splits)


def export_key(export: Export, source: EmbeddingSource) -> dict[str, Any]:
    """All that the rows of a file depend on, as JSON values."""
    return {
        "backbone": source.title,
        "weights": weights_digest(source.network),
        "network": network_digest(source.network),
        "image_size": list(source.image_size),
        "views": export.views.described(),
        "data": export.data_digest,
        "images": {split: photos.digest() for split, photos in export.photos.items()},
        "engine": "openvino" if export.openvino else "keras",
    }


def export_columns(export: Export) -> dict[str, dict[str, Any]]:
    """What describes the rows: column -> split -> entries; and the classes."""
    columns: dict[str, dict[str, Any]] = {name: {} for name in ROW_COLUMNS}
    for split, photos in export.photos.items():
        count = export.views.count(split)
        columns["path"][split] = photos.names * count
        columns["id"][split] = photos.ids * count
        columns["label"][split] = np.tile(photos.labels, count)
        columns["group"][split] = np.tile(photos.groups, count)
        columns["view"][split] = np.repeat(np.arange(count), len(photos.names))
    # Not an attribute: those hold 64 KB at most.
    columns[CLASS] = {"names": export.classes}
    if export.category_ids is not None:
        columns[CLASS]["category_ids"] = export.category_ids
    return columns


def export_notes(export: Export, source: EmbeddingSource) -> dict[str, Any]:
    """Attributes that tell where a file comes from, without being part of what it is."""
    return {**export.notes, "made_from": source.made_from}


def _check_rows(store: RowStore, kinds: Mapping[str, RowKind], export: Export) -> None:
    """Raise DamagedStore unless a store is one of this export; a finished one may lack images."""
    rows = export.rows()
    expected = set(rows) if is_finished(store) else rows
    there = set(store.splits) if is_finished(store) else store.splits
    if store.kinds != kinds or there != expected:
        store.close()
        raise DamagedStore(f"{store.path} has not the rows that it was made for")


def _why_not(path: Path, key: Mapping[str, Any], error: DamagedStore) -> str:
    made_from = None
    with contextlib.suppress(OSError, KeyError, ValueError, RuntimeError):
        refuse_special(path)
        with h5py.File(path, "r", locking=False) as file:
            made_from = json.loads(file.attrs["key"])
    if not isinstance(made_from, dict) or made_from == key:
        return f"{error}; remove it and start the same command again, which makes it anew"
    other = [name for name in key if made_from.get(name) != key[name]]
    return (
        f"{path} was made from something else (it differs in: {', '.join(other)}) and is left as "
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
