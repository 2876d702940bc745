"""Embeddings in the layouts in which people share them, of which this project writes two as well.

    gap      train (N, D), label (N,); test (M, D)                     dogs against cats
    train_x  train_x (N, D), train_label; valid_x, valid_label; test   flowers

Labels are class numbers or one-hot rows. Rows have no names there, only places, so files are joined
by place; which photograph a row of `test` is, the one who has the photographs must say.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from finegrain.embeddings.feature_file import FeatureFile, SplitRows
from finegrain.errors import UserError

# Split -> names of its embeddings and labels.
LAYOUTS = (
    {"train": ("train", "label")},
    {"train": ("train_x", "train_label"), "valid": ("valid_x", "valid_label")},
)
TEST, UNLABELLED = "test", "unlabelled"
CLASSES = "classes"
# One-hot rows read at a time.
BLOCK = 4096


def open_features(path: Path, test_ids: Sequence[str] | None = None) -> FeatureFile:
    """A file of embeddings in whatever layout; `test_ids` name the rows of a shared one's `test`.

    Raises:
        UserError: see `FeatureFile`; or other ids than there are rows.
    """
    return SharedFile(path, test_ids) if _is_shared(path) else FeatureFile(path)


def _is_shared(path: Path) -> bool:
    try:
        with h5py.File(path, "r", locking=False) as file:
            return any(set(layout["train"]) <= set(file) for layout in LAYOUTS)
    except (OSError, RuntimeError):
        # Told of where it is opened in earnest.
        return False


class SharedFile(FeatureFile):
    """A shared file, opened as one of this project's; its test images are the split `unlabelled`.

    Attributes:
        knows_test: whether the rows of `test` have ids that somebody gave, in order, or there are
            none.
    """

    def __init__(self, path: Path, test_ids: Sequence[str] | None = None):
        self._test_ids = test_ids
        self._names: dict[str, str] = {}
        super().__init__(path)

    def _read_layout(self) -> None:
        file = self._file
        self.knows_test = self._test_ids is not None or TEST not in file or self._has_paths(TEST)
        layout = next(layout for layout in LAYOUTS if set(layout["train"]) <= set(file))
        labels = {split: self._labels(name) for split, (_, name) in layout.items() if name in file}
        classes = 1 + max(int(numbers.max()) for numbers in labels.values())
        self.classes = [str(number) for number in range(classes)]
        if CLASSES in file:
            self.classes = list(file[CLASSES].asstr()[:])
            if len(self.classes) < classes or len(set(self.classes)) < len(self.classes):
                raise ValueError("its class names are not one for each label")
        self.category_ids, self.view_kind, self.backbone = None, "plain", "shared embeddings"
        # Files of one data set in one order have the same.
        told = b"".join(numbers.tobytes() for numbers in labels.values())
        self.data = f"labels {hashlib.sha1(told).hexdigest()}"
        self.width, self.splits = 0, {}
        for split, numbers in labels.items():
            self._take(split, layout[split][0], numbers, self._own_names(split, len(numbers)))
        if TEST in file:
            rows = len(file[TEST])
            self._take(UNLABELLED, TEST, np.full(rows, -1), self._own_names(TEST, rows))

    def _labels(self, name: str) -> np.ndarray:
        """(N,) int64 class numbers."""
        data = self._file[name]
        if data.ndim == 2 and data.shape[1] > 1:
            # Of many photographs and classes the one-hot rows are too much for the memory.
            starts = range(0, len(data), BLOCK)
            blocks = [data[start : start + BLOCK].argmax(axis=1) for start in starts]
            values = np.concatenate(blocks or [np.empty(0)])
        else:
            values = data[:].reshape(-1)
        if not len(values) or not np.isfinite(values).all() or values.min() < 0:
            raise ValueError(f"{name} holds no class numbers")
        numbers = values.astype(np.int64)
        if (numbers != values).any():
            raise ValueError(f"{name} holds no class numbers")
        return numbers

    def _own_names(self, split: str, rows: int) -> list[str]:
        """Paths of a split's rows where the file has them, as those of this project do."""
        if self._has_paths(split):
            data = self._file[f"{split}_path"]
            if len(data) != rows:
                raise ValueError(f"it has {len(data)} paths of {rows} rows of {split}")
            return list(data.asstr()[:]) if rows else []
        return [f"{split}/{row}" for row in range(rows)]

    def _has_paths(self, split: str) -> bool:
        return f"{split}_path" in self._file

    def _take(self, split: str, name: str, labels: np.ndarray, paths: list[str]) -> None:
        data = self._file[name]
        if data.ndim != 2 or not np.issubdtype(data.dtype, np.floating):
            raise ValueError(f"{name} is {data.shape} {data.dtype} instead of (N, D) numbers")
        if len(data) != len(labels):
            raise ValueError(f"{name} has {len(data)} rows and {len(labels)} labels")
        self._check_width(split, data)
        ids = [Path(path).stem for path in paths]
        if split == UNLABELLED and self._test_ids is not None and not self._has_paths(TEST):
            if len(self._test_ids) != len(data):
                raise UserError(
                    f"{self.path} has {len(data)} rows of test images, and {len(self._test_ids)} "
                    "were named; give the folder or the sample submission that it was made for"
                )
            ids = paths = list(self._test_ids)
        none = np.zeros(len(data), np.int64)
        self.splits[split] = SplitRows(
            np.array(paths, object), np.array(ids, object), labels, none, none, []
        )
        self._names[split] = name

    def _embeddings(self, split: str) -> h5py.Dataset:
        return self._file[self._names[split]]
