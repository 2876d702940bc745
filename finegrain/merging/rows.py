"""Rows of joined embeddings, in mini-batches."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from finegrain.merging.joined import JoinedFeatures
from finegrain.read_ahead import read_ahead

# Neighbouring rows read at once from disk; few enough that a buffer of them mixes all classes.
BLOCK_ROWS = 16
BUFFER_BYTES = 128 * 2**20
BATCH_IN_ORDER = 1024

Batch = tuple[dict[str, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FeatureRows:
    """Some rows of joined features: (split, numbers of its rows) pairs, one after the other.

    In memory everything is read once and kept; otherwise each batch is read from disk.
    """

    joined: JoinedFeatures
    parts: tuple[tuple[str, np.ndarray], ...]
    in_memory: bool = True

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.parts)

    @cached_property
    def labels(self) -> np.ndarray:
        """(N,) class indices."""
        return self._column("labels")

    @cached_property
    def paths(self) -> np.ndarray:
        """(N,) paths, objects of type str."""
        return self._column("paths")

    def _column(self, name: str) -> np.ndarray:
        return np.concatenate(
            [getattr(self.joined.splits[split], name)[rows] for split, rows in self.parts]
        )

    def take(self, names: Sequence[str], chosen: np.ndarray) -> dict[str, np.ndarray]:
        """Embeddings of some rows, 0 to N - 1: backbone -> (B, D) float32."""
        if self.in_memory:
            return {name: self._matrices[name][chosen] for name in names}
        return self._read(names, chosen)

    @cached_property
    def _matrices(self) -> dict[str, np.ndarray]:
        matrices = {
            name: np.empty((len(self), width), "float32")
            for name, width in self.joined.widths.items()
        }
        for start in range(0, len(self), BATCH_IN_ORDER):
            chosen = np.arange(start, min(start + BATCH_IN_ORDER, len(self)))
            for name, values in self._read(list(matrices), chosen).items():
                matrices[name][chosen] = values
        return matrices

    def _read(self, names: Sequence[str], chosen: np.ndarray) -> dict[str, np.ndarray]:
        out = {name: np.empty((len(chosen), self.joined.widths[name]), "float32") for name in names}
        start = 0
        for split, rows in self.parts:
            inside = (chosen >= start) & (chosen < start + len(rows))
            if inside.any():
                values = self.joined.read(names, split, rows[chosen[inside] - start])
                for name in names:
                    out[name][inside] = values[name]
            start += len(rows)
        return out

    def in_order(self, names: Sequence[str]) -> Iterator[Batch]:
        """All rows once, in their order."""
        for start in range(0, len(self), BATCH_IN_ORDER):
            chosen = np.arange(start, min(start + BATCH_IN_ORDER, len(self)))
            yield self.take(names, chosen), self.labels[chosen]

    def shuffled(
        self, names: Sequence[str], batch_size: int, rng: np.random.Generator
    ) -> Iterator[Batch]:
        """All rows once, in random order; the last batch holds the rest.

        From disk: blocks of neighbouring rows in random order fill a buffer, whose rows are
        mixed. The next buffer is read while this one is used.
        """
        if self.in_memory:
            order = rng.permutation(len(self))
            for start in range(0, len(order), batch_size):
                chosen = order[start : start + batch_size]
                yield self.take(names, chosen), self.labels[chosen]
            return
        row_bytes = 4 * sum(self.joined.widths[name] for name in names)
        buffer_rows = max(1, BUFFER_BYTES // (row_bytes * batch_size)) * batch_size
        order = shuffled_in_blocks(len(self), BLOCK_ROWS, buffer_rows, rng)
        buffers = [order[at : at + buffer_rows] for at in range(0, len(order), buffer_rows)]
        with closing(read_ahead(partial(self._read, names), buffers, workers=1, ahead=1)) as read:
            for chosen, values in zip(buffers, read, strict=True):
                labels = self.labels[chosen]
                for at in range(0, len(chosen), batch_size):
                    part = slice(at, at + batch_size)
                    yield {name: array[part] for name, array in values.items()}, labels[part]


def shuffled_in_blocks(count: int, block: int, buffer: int, rng: np.random.Generator) -> np.ndarray:
    """An order of rows, (count,) int64, in which those of each buffer are mixed.

    A block of neighbouring rows stays in one buffer, as far as it fits.
    """
    starts = rng.permutation(-(-count // block)) * block
    order = (starts[:, None] + np.arange(block)).reshape(-1)
    order = order[order < count]
    for start in range(0, count, buffer):
        order[start : start + buffer] = rng.permutation(order[start : start + buffer])
    return order
