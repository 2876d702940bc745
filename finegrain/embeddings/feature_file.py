"""Read an exported file of embeddings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from finegrain.embeddings.export_file import CLASS, REASON, UNREADABLE, UNREADABLE_ID, stored_key
from finegrain.embeddings.photographs import KINDS
from finegrain.errors import UserError
from finegrain.models.heads import EMBEDDING
from finegrain.records import refuse_newer
from finegrain.stores.row_layout import DONE, FEATURE_DTYPE, RowNumbers, schema_of

# The second in files from before embeddings were rounded.
DTYPES = (FEATURE_DTYPE, "float32")
AGAIN = "start the recipes/export_features.py command that made it again"


class Unreadable(NamedTuple):
    """An image without a row: its path, its id and why it could not be read."""

    path: str
    image_id: str
    reason: str


@dataclass(frozen=True)
class SplitRows:
    """What the N rows of a split are, all in the same order; see `ExportedPhotos`."""

    paths: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    views: np.ndarray
    unreadable: list[Unreadable]


class FeatureFile:
    """An exported file, opened to be read; close it, or use it in a `with`.

    Attributes:
        classes: class names in index order.
        category_ids: what a JSON's leaderboard calls them, None where it takes the names.
        width: D, numbers an embedding.
        splits: split -> its rows.
        data: digest of the data set.
        view_kind: `plain`, `flip` or `augmented`.
        key: what its rows were made from, None where it does not tell; of shards without the shard.

    Raises:
        UserError: no such file, damaged, cut short, unfinished, or of another layout.
    """

    key: Mapping[str, Any] | None = None

    def __init__(self, path: Path):
        self.path = path
        self.name = path.stem
        if not path.is_file():
            raise UserError(f"there is no file {path}; make it with recipes/export_features.py")
        try:
            self._file = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise UserError(
                f"{path} is no HDF5 file, damaged or cut short ({_reason(error)}); remove it and "
                f"{AGAIN}"
            ) from error
        try:
            self._read_layout()
        except (KeyError, OSError, ValueError, RuntimeError, AttributeError, TypeError) as error:
            self.close()
            raise UserError(
                f"{path} is no file of recipes/export_features.py ({_reason(error)}); leave it out "
                "if it is of another layout, such as gap_*.h5: embeddings are joined by path"
            ) from error
        except UserError:
            self.close()
            raise

    def _read_layout(self) -> None:
        file = self._file
        if CLASS not in file:
            raise KeyError("it has no paths and class names")
        refuse_newer(self.path, schema_of(file))
        self.classes = list(self._text(CLASS, "names"))
        if len(set(self.classes)) != len(self.classes) or not self.classes:
            raise ValueError("its class names are not all different")
        self.category_ids = None
        if "category_ids" in file[CLASS]:
            self.category_ids = list(self._text(CLASS, "category_ids"))
            if len(self.category_ids) != len(self.classes):
                raise ValueError("it has not one category id for each class")
        self.key = stored_key(self.path)
        self.data = str(file.attrs["data"])
        self.backbone = str(file.attrs["backbone"])
        views = json.loads(file.attrs["views"])
        if not isinstance(views, dict) or views.get("kind") not in KINDS:
            raise ValueError("its attribute views tells of none that are known")
        self.view_kind = views["kind"]
        if not len(file[DONE]):
            raise ValueError("it has no splits")
        self.width = 0
        self.splits: dict[str, SplitRows] = {}
        for split, done in file[DONE].items():
            missing = int((done[:] == 0).sum())
            if missing:
                raise UserError(
                    f"{self.path} is not finished: {missing} of {len(done)} rows of {split} are "
                    f"not there yet; {AGAIN}, which goes on"
                )
            self.splits[split] = self._split(split, len(done))
            self._check_embeddings(split, file[f"{EMBEDDING}/{split}"], len(done))

    def _check_embeddings(self, split: str, data: h5py.Dataset, rows: int) -> None:
        if data.ndim != 2 or len(data) != rows or data.dtype.name not in DTYPES:
            raise ValueError(
                f"its embeddings of {split} are {data.shape} {data.dtype} instead of ({rows}, D) "
                f"{' or '.join(DTYPES)}"
            )
        self._check_width(split, data)
        if data.id.get_offset() is not None:
            end = data.id.get_offset() + data.id.get_storage_size()
            if end > self.path.stat().st_size:
                raise UserError(f"{self.path} is cut short; remove it and {AGAIN}")

    def _check_width(self, split: str, data: h5py.Dataset) -> None:
        if self.width and data.shape[1] != self.width:
            raise ValueError(f"its embeddings of {split} are of another width than the others")
        self.width = data.shape[1]

    def _embeddings(self, split: str) -> h5py.Dataset:
        if not self._file:
            self._file = h5py.File(self.path, "r", locking=False)
        return self._file[f"{EMBEDDING}/{split}"]

    def _split(self, split: str, rows: int) -> SplitRows:
        file = self._file
        unreadable = []
        if split in file.get(UNREADABLE, ()):
            columns = (self._text(name, split) for name in (UNREADABLE, UNREADABLE_ID, REASON))
            unreadable = [Unreadable(*entry) for entry in zip(*columns, strict=True)]
        labels, groups, views = (file[f"{name}/{split}"][:] for name in ("label", "group", "view"))
        for column in (labels, groups, views):
            # Nothing has no type: a split of which no photograph could be read.
            is_whole = rows == 0 or np.issubdtype(column.dtype, np.integer)
            if column.shape != (rows,) or not is_whole:
                raise ValueError(f"a column of {split} is not {rows} whole numbers")
        if rows and not (labels.min() >= -1 and labels.max() < len(self.classes)):
            raise ValueError(f"a label of {split} is none of its {len(self.classes)} classes")
        if rows and views.min() < 0:
            raise ValueError(f"a view of {split} has a number below 0")
        paths, ids = self._text("path", split), self._text("id", split)
        if paths.shape != (rows,) or ids.shape != (rows,):
            raise ValueError(f"it has not the paths and ids of {rows} rows of {split}")
        return SplitRows(paths, ids, labels, groups, views, unreadable)

    def _text(self, name: str, split: str) -> np.ndarray:
        data = self._file[f"{name}/{split}"]
        # Of an empty list HDF5 cannot know that it would have held text.
        return data.asstr()[:] if len(data) else np.empty(0, object)

    def read(self, split: str, rows: RowNumbers) -> np.ndarray:
        """Some rows in the order asked for, (B,D) float32; neighbours are read at once.

        Raises:
            UserError: a number is not finite, or the disk fails; names file, row and image.
        """
        numbers = np.asarray(rows, np.int64)
        order = np.argsort(numbers, kind="stable")
        out = np.empty((len(numbers), self.width), "float32")
        ends = np.flatnonzero(np.diff(numbers[order]) != 1) + 1
        try:
            data = self._embeddings(split)
            for part in np.split(order, ends) if len(order) else ():
                first = numbers[part[0]]
                out[part] = data[first : first + len(part)]
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be read ({_reason(error)}); remove it and {AGAIN}"
            ) from error
        if not np.isfinite(out).all():
            row = int(numbers[np.flatnonzero(~np.isfinite(out).all(axis=1))[0]])
            raise UserError(
                f"{self.path} holds a number that is not finite in row {row} of {split} "
                f"({self.splits[split].paths[row]}); remove the file and {AGAIN}"
            )
        return out

    def rest(self) -> None:
        """Close the file until the next read: a process may hold so many open only."""
        self._file.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "FeatureFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _reason(error: Exception) -> str:
    # A KeyError puts its message in quotes.
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    lines = str(message).splitlines()
    return lines[0] if lines else type(error).__name__
