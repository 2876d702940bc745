"""The folder that stores share, and the room they may take there."""

import contextlib
import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finegrain.memory import size_in_words
from finegrain.stores.row_layout import Columns, RowKind, canonical
from finegrain.stores.row_store import DamagedStore, RowStore, lock
from finegrain.whole_files import remove_partials

GIGABYTE = 1_000_000_000
# Room on the disk that a store never takes: for checkpoints and for everybody else.
LEFT_FREE = 2 * GIGABYTE
# HDF5's own bookkeeping and the columns, per row; generous.
ROW_OVERHEAD = 400
# None that is being written, whose name begins with a dot. A graph is what computes rows.
STORE_NAME = re.compile(r"[^.].*-[0-9a-f]{16}\.h5|graph-[0-9a-f]{16}\.zip", re.DOTALL)


@dataclass
class StoreFolder:
    """Stores by what they were made from, together of at most `most_bytes`.

    The folder is made when the first store is. The reason tells why the last store that was asked
    for holds no or not all rows, in words for the user; empty if it holds all.
    """

    folder: Path
    most_bytes: float
    reason: str = ""

    def open(
        self,
        name: str,
        key: Mapping[str, Any],
        kinds: Mapping[str, RowKind],
        rows: Mapping[str, int],
        columns: Columns | None = None,
    ) -> RowStore | None:
        """The store made from exactly `key`, or a new one; None if not one row fits.

        Where not all rows fit, earlier splits come first, and each split is cut at its end. The key
        is of all that the rows depend on: a store of another key is never used. `name` begins the
        file's name; the others are those of `RowStore.create`.
        """
        path = self.path(name, key)
        remove_partials(self.folder)
        there = self._existing(path, key, kinds)
        row_bytes = sum(kind.row_bytes for kind in kinds.values()) + ROW_OVERHEAD
        left, limit = self._room(path)
        fitting = {}
        for split, count in rows.items():
            fitting[split] = min(count, left // row_bytes)
            left -= fitting[split] * row_bytes
        if there is not None:
            held = there.splits
            if all(held.get(split, 0) >= count for split, count in fitting.items()):
                self.reason = _reason(rows, held, row_bytes, limit)
                return there
            if not there.writable:
                return there
            there.close()
        self.reason = _reason(rows, fitting, row_bytes, limit)
        if not any(fitting.values()):
            return None
        cut = {
            column: {split: list(entries)[: fitting[split]] for split, entries in by_split.items()}
            for column, by_split in (columns or {}).items()
        }
        path.unlink(missing_ok=True)
        return RowStore.create(path, key, kinds, fitting, cut)

    def path(self, name: str, key: Mapping[str, Any]) -> Path:
        """The file of the store of a key, whether it is there or not."""
        digest = hashlib.sha256(canonical(key).encode()).hexdigest()
        return self.folder / f"{name}-{digest[:16]}.h5"

    def _existing(
        self, path: Path, key: Mapping[str, Any], kinds: Mapping[str, RowKind]
    ) -> RowStore | None:
        if not path.exists():
            return None
        with contextlib.suppress(DamagedStore):
            store = RowStore(path, key)
            if store.kinds == kinds:
                return store
            store.close()
        path.unlink(missing_ok=True)
        return None

    def _room(self, path: Path) -> tuple[int, str]:
        """Bytes that a store may take, and what sets the limit, in words."""
        others = sum(_size(file) for file in self.stores() if file != path)
        folder = self.folder.absolute()
        existing = next(place for place in (folder, *folder.parents) if place.exists())
        own = path.stat().st_blocks * 512 if path.exists() else 0
        on_disk = shutil.disk_usage(existing).free + own - LEFT_FREE
        allowed = self.most_bytes - others
        limit = f"--cache-gb {self.most_bytes / GIGABYTE:g}"
        if allowed > on_disk:
            limit = f"the free space of the disk (less {size_in_words(LEFT_FREE)})"
        elif others:
            limit += f" (of which other stores take {size_in_words(others)})"
        return max(0, int(min(allowed, on_disk))), limit

    def stores(self) -> list[Path]:
        """The stores in the folder, by name; other files are not looked at."""
        named = (path for path in self.folder.glob("*-*.*") if STORE_NAME.fullmatch(path.name))
        return sorted(path for path in named if path.is_file())


def _reason(rows: Mapping[str, int], held: Mapping[str, int], row_bytes: int, limit: str) -> str:
    wanted = sum(rows.values())
    fits = sum(min(count, held.get(split, 0)) for split, count in rows.items())
    if fits == wanted:
        return ""
    return (
        f"{fits} of {wanted} rows of {size_in_words(row_bytes)} fit into {limit}; "
        f"all need {size_in_words(wanted * row_bytes)}"
    )


def _size(path: Path) -> int:
    """Bytes of a file; 0 where another process has removed it meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def remove_store(path: Path) -> bool:
    """Remove a store, unless another process is filling or reading it; whether it is gone."""
    with open(path, "rb") as file:
        if not lock(file):
            return False
        path.unlink()
    return True
