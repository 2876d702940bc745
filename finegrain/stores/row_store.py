"""One HDF5 file of rows that were expensive to compute, safe against a kill at any moment."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from finegrain.errors import UserError
from finegrain.records import refuse_newer
from finegrain.regular_file import refuse_special
from finegrain.stores.row_layout import (
    DONE,
    IS_KIND,
    Columns,
    RowKind,
    RowNumbers,
    canonical,
    schema_of,
    write_layout,
)

if sys.platform != "win32":
    import fcntl

# Most that a kill can cost, in seconds of work.
SECONDS_BETWEEN_FLUSHES = 5.0


class DamagedStore(Exception):
    """A file that is no whole store, or one made from something else."""


class RowStore:
    """Rows of fixed size, `<kind>/<split>` (N, ...), in a file that any HDF5 reader opens.

    All of HDF5's own bookkeeping is written when the file is made, which happens whole or not at
    all. From then on rows go straight to their place in the file, so a killed process cannot
    damage it; `done/<split>` (N,) uint8 tells the rows that are there, and is written after the
    rows themselves have reached the disk. Threads may share a store. A second process that opens
    it while one fills it can read what was done by then; its own `write` does nothing.

    A file that is cut short, no store, or not made with this key is a `DamagedStore`; one that
    may not be written to, or that a newer version wrote, a `UserError`.
    """

    def __init__(self, path: Path, key: Mapping[str, Any]):
        self.path = path
        self._lock = threading.Lock()
        self._places: dict[tuple[str, str], int] = {}
        self._unwritten_flags: set[str] = set()
        self._last_flush = time.monotonic()
        try:
            refuse_special(path)
            # HDF5's own lock would refuse to show a file that another process fills.
            with h5py.File(path, "r", locking=False) as file:
                if str(file.attrs["key"]) != canonical(key):
                    raise DamagedStore(f"{path} was made from something else")
                refuse_newer(path, schema_of(file))
                self._read_layout(file)
        except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise DamagedStore(f"{path} is no whole store ({error})") from error
        try:
            # Lives as long as the store.
            self._file = open(path, "r+b", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise UserError(
                f"the store {path} cannot be opened ({error.strerror}); make it yours, or give "
                "another --cache"
            ) from error
        self.writable = lock(self._file)

    @classmethod
    def create(
        cls,
        path: Path,
        key: Mapping[str, Any],
        kinds: Mapping[str, RowKind],
        rows: Mapping[str, int],
        columns: Columns | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> "RowStore":
        """Make an empty store for rows of some kinds, N = `rows[split]` in each split.

        Args:
            key: what the rows are made from, as JSON values; also written as attributes.
            columns: name -> split -> N entries (text or integers) that describe the rows, in
                datasets `<name>/<split>`.
            notes: further attributes, JSON values, in which makers of the same rows may differ.
        """
        write_layout(path, key, kinds, rows, columns or {}, notes or {})
        return cls(path, key)

    def _read_layout(self, file: h5py.File) -> None:
        size = self.path.stat().st_size
        self._flags = {split: data[:] for split, data in file[DONE].items()}
        for split, flags in self._flags.items():
            if flags.ndim != 1 or flags.dtype != np.uint8:
                raise DamagedStore(f"{self.path} has no list of the rows of {split} that are done")
        self.kinds: dict[str, RowKind] = {}
        for name, group in file.items():
            for split, data in group.items():
                if data.attrs.get(IS_KIND, False):
                    self._add_kind(name, split, data)
                offset = data.id.get_offset()
                if offset is not None:
                    if offset + data.id.get_storage_size() > size:
                        raise DamagedStore(f"{self.path} is cut short")
                    self._places[name, split] = offset

    def _add_kind(self, name: str, split: str, data: h5py.Dataset) -> None:
        kind, rows = RowKind(data.shape[1:], data.dtype.name), len(self._flags[split])
        if len(data) != rows or self.kinds.setdefault(name, kind) != kind:
            raise DamagedStore(f"{self.path} has not the {rows} rows of {name}/{split} it tells of")
        if rows and data.id.get_offset() is None:
            raise DamagedStore(f"{self.path} has the rows of {name}/{split} in pieces")

    @property
    def splits(self) -> dict[str, int]:
        """Split -> number of rows."""
        return {split: len(flags) for split, flags in self._flags.items()}

    def done(self, split: str) -> np.ndarray:
        """(N,) bool, True for rows that can be read."""
        return self._flags[split].astype(bool)

    def read(self, kind: str, split: str, rows: RowNumbers) -> np.ndarray:
        """Rows in the order asked for, (len(rows), ...); they must be done."""
        row_kind = self.kinds[kind]
        out = np.empty((len(rows), *row_kind.shape), row_kind.dtype)
        # A split without rows has no place in the file.
        start, size = self._places.get((kind, split), 0), row_kind.row_bytes
        for place, row in zip(out, rows, strict=True):
            if self._read_at(start + int(row) * size, place.reshape(-1).view(np.uint8)) != size:
                raise DamagedStore(f"{self.path} is cut short")
        return out

    def _read_at(self, start: int, into: np.ndarray) -> int:
        """Bytes read from a place in the file."""
        if hasattr(os, "preadv"):
            # Moves no position that threads would share, so that none waits for another.
            return os.preadv(self._file.fileno(), [into.data], start)
        with self._lock:
            self._file.seek(start)
            return self._file.readinto(into.data) or 0

    def write(self, split: str, rows: RowNumbers, values: Mapping[str, np.ndarray]) -> None:
        """Put rows in their place, all kinds at once; on an `OSError` they do not count as done."""
        if not self.writable:
            return
        for name, kind in self.kinds.items():
            array = np.ascontiguousarray(values[name], kind.dtype)
            for row, place in zip(rows, array, strict=True):
                with self._lock:
                    self._file.seek(self._places[name, split] + int(row) * kind.row_bytes)
                    _write_all(self._file, place.reshape(-1).view(np.uint8))
        with self._lock:
            self._flags[split][np.asarray(rows)] = 1
            self._unwritten_flags.add(split)
        if time.monotonic() - self._last_flush > SECONDS_BETWEEN_FLUSHES:
            self.flush()

    def flush(self) -> None:
        """Make all rows written so far final."""
        with self._lock:
            self._last_flush = time.monotonic()
            if not self._unwritten_flags:
                return
            os.fsync(self._file.fileno())
            for split in self._unwritten_flags:
                self._file.seek(self._places[DONE, split])
                _write_all(self._file, self._flags[split])
            self._unwritten_flags.clear()

    def close(self) -> None:
        """Flush and let others write."""
        with contextlib.suppress(OSError):
            self.flush()
        self._file.close()


def lock(file: IO[bytes]) -> bool:
    """Take the lock that a store's one writer holds, until the file is closed; False if taken."""
    if sys.platform == "win32":
        # Nobody keeps two processes from filling one store twice.
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False


def _write_all(file: FileIO, content: np.ndarray) -> None:
    view = content.data
    while len(view):
        view = view[file.write(view) :]
