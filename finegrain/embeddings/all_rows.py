"""All rows of a file of embeddings, numbered through its splits."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.nearest import unit_rows

# Rows in memory at a time: 16,384 x 2,048 numbers take 134 MB, a search three times that.
BLOCK = 16_384
# Reading all for a digest would take what an exact search takes.
SAMPLED = 1_000


class AllRows:
    """The N embeddings of a file, or of its shards, at length 1; memory holds a block of them.

    Of photographs with several views it is the first one's, which an export has before all others.

    Attributes:
        width: D, numbers an embedding.
    """

    def __init__(self, features: FeatureFile, splits: Sequence[str] | None = None):
        self._features = features
        self.width = features.width
        self._splits = list(features.splits) if splits is None else list(splits)
        self._counts = [int((features.splits[split].views == 0).sum()) for split in self._splits]

    def __len__(self) -> int:
        return sum(self._counts)

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """All rows in their order, (B,D) float32; see `FeatureFile.read` for errors."""
        for split, count in zip(self._splits, self._counts, strict=True):
            for start in range(0, count, size):
                block = np.arange(start, min(start + size, count))
                yield unit_rows(self._features.read(split, block))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Rows of ascending numbers (B,) from 0 to N - 1: (B,D) float32; errors as `blocks`."""
        ends = np.searchsorted(rows, np.cumsum(self._counts))
        parts = [np.empty((0, self.width), "float32")]
        start = first = 0
        for split, count, end in zip(self._splits, self._counts, ends, strict=True):
            if end > start:
                parts.append(unit_rows(self._features.read(split, rows[start:end] - first)))
            start, first = end, first + count
        return np.concatenate(parts)

    def place(self, row: int) -> tuple[str, int]:
        """The split of a row, and its number there."""
        ends = np.cumsum(self._counts)
        part = int(np.searchsorted(ends, row, side="right"))
        return self._splits[part], int(row - ends[part] + self._counts[part])

    def spread(self, count: int) -> np.ndarray:
        """The numbers of so many rows, spread evenly; of all where there are no more."""
        return np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).astype("int64"))

    def beside(self, suffix: str) -> Path:
        """A file in the folder of the embeddings, under their name; of shards that is one too."""
        return self._features.path.with_name(self._features.name + suffix)

    def digest(self) -> str:
        """What tells these rows from others: the file's key, its splits, and rows in between.

        The key is all that the rows of an export were made from; a thousand rows tell apart what
        machines of different precision made of the same.
        """
        about = [self._features.key, self._splits, self._counts, self.width]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        digest.update(self.read(self.spread(SAMPLED)).tobytes())
        return digest.hexdigest()
