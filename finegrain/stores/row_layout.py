"""What stands where in the file of a store: all of it is written when the file is made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np

from finegrain.records import SCHEMA, SCHEMA_KEY
from finegrain.whole_files import written_whole

DONE = "done"
# Attribute of datasets that hold rows.
IS_KIND = "is_kind"
# What a file takes beside its rows and columns: headers, groups, heaps; generous.
HDF5_BYTES = 65_536

# Of what networks compute; rounds by 0.05 %, far less than two views of a photograph differ.
FEATURE_DTYPE = "float16"

# Numbers of rows, in any order.
RowNumbers: TypeAlias = Sequence[int] | np.ndarray
# What describes the rows: column -> split -> its entries.
Columns: TypeAlias = Mapping[str, Mapping[str, Sequence[Any]]]


@dataclass(frozen=True)
class RowKind:
    """What one row of a kind of data is: its shape, and the NumPy name of its dtype."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def row_bytes(self) -> int:
        """Bytes a row takes."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


def canonical(key: Any) -> str:
    """JSON that is the same for equal values."""
    return json.dumps(key, sort_keys=True, ensure_ascii=True)


def schema_of(file: h5py.File) -> int:
    """The number of a file's schema, 0 from before there were numbers."""
    return int(file.attrs.get(SCHEMA_KEY, 0))


def write_layout(
    path: Path,
    key: Mapping[str, Any],
    kinds: Mapping[str, RowKind],
    rows: Mapping[str, int],
    columns: Columns,
    notes: Mapping[str, Any],
) -> None:
    """Write the file of an empty store; the arguments are those of `RowStore.create`."""
    needed = table_bytes(columns) + sum(rows.values()) + 4 * len(canonical({**notes, **key}))
    with written_whole(path, needed) as beside, h5py.File(beside, "w") as file:
        file.attrs["key"] = canonical(key)
        # Beside the key, not in it, so that stores of earlier versions are found.
        file.attrs[SCHEMA_KEY] = SCHEMA
        for name, value in {**notes, **key}.items():
            file.attrs[name] = value if isinstance(value, int | str) else canonical(value)
        for name, by_split in columns.items():
            for split, entries in by_split.items():
                _write_column(file, f"{name}/{split}", entries)
        for split, count in rows.items():
            file.create_dataset(f"{DONE}/{split}", data=np.zeros(count, np.uint8))
            for name, kind in kinds.items():
                _reserve(file, f"{name}/{split}", (count, *kind.shape), kind.dtype)


def table_bytes(columns: Columns) -> int:
    """Bytes that columns take in an HDF5 file, with its own bookkeeping; more rather than less.

    When the disk fills as HDF5 closes a file, it prints what nobody can catch.
    """
    texts = (
        len(entry.encode("utf-8", "surrogatepass")) if isinstance(entry, str) else 0
        for by_split in columns.values()
        for entries in by_split.values()
        for entry in entries
    )
    return HDF5_BYTES + sum(32 + length for length in texts)


def _write_column(file: h5py.File, name: str, entries: Sequence[Any]) -> None:
    if len(entries) and isinstance(entries[0], str):
        file.create_dataset(name, data=list(entries), dtype=h5py.string_dtype())
    else:
        file.create_dataset(name, data=np.asarray(entries))


def _reserve(file: h5py.File, name: str, shape: tuple[int, ...], dtype: str) -> None:
    """A dataset whose place in the file is fixed now and whose content is not written."""
    group, _, split = name.rpartition("/")
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    data = h5py.h5d.create(
        file.require_group(group).id,
        split.encode(),
        h5py.h5t.py_create(np.dtype(dtype)),
        h5py.h5s.create_simple(shape),
        properties,
    )
    h5py.Dataset(data).attrs[IS_KIND] = True
