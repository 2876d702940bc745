"""Compute features of photographs with the part of a model that stands still."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from tqdm import tqdm

from finegrain.decode import UnreadableImage
from finegrain.inference.opened import Inference
from finegrain.read_ahead import read_ahead
from finegrain.stores.row_layout import RowKind
from finegrain.stores.row_store import RowStore
from finegrain.whole_files import DISK_FULL

# Photographs computed at a time: enough to keep all cores busy, little memory.
BATCH = 32
BATCHES_AHEAD = 2


class FeatureOverflow(Exception):
    """A feature is no finite number in the dtype it is stored with."""


@dataclass
class FeatureComputer:
    """Features of a batch of photographs, in the dtype they are stored with.

    The engine is opened with the first batch, since it takes seconds and a full store needs none.
    Threads may share a computer.

    Attributes:
        open: opens what gives a list of features, in the order of `kinds`, for images like those
            of a first batch (B, H, W, 3) uint8; see `finegrain.features.engine`.
    """

    open: Callable[[np.ndarray], Inference]
    kinds: Mapping[str, RowKind]
    _inference: Inference | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Kind -> features (B, ...) of images (B, H, W, 3), RGB 0 to 255; or `FeatureOverflow`."""
        with self._lock:
            if self._inference is None:
                self._inference = self.open(images)
                print(f"  computing {self._inference.describe()}", flush=True)
            outputs = self._inference.run(images)
        features = {}
        for (name, kind), output in zip(self.kinds.items(), outputs, strict=True):
            with np.errstate(over="ignore"):
                values = np.asarray(output).astype(kind.dtype)
            if not np.isfinite(values).all():
                raise FeatureOverflow(f"{name} holds numbers beyond {kind.dtype}")
            features[name] = values
        return features


class Views(Protocol):
    """N photographs, of each of which there are views by number; threads may share them."""

    @property
    def paths(self) -> Sequence[Path]:
        """The N image files."""

    def views(self, index: int, numbers: Sequence[int]) -> np.ndarray:
        """Some views of a photograph, (K, H, W, 3) uint8; may raise `UnreadableImage`."""


# What else becomes of the features of some rows of a split: split, rows, features by kind.
Also: TypeAlias = Callable[[str, np.ndarray, dict[str, np.ndarray]], None]


def fill(
    store: RowStore,
    photos: Mapping[str, Views],
    computer: FeatureComputer,
    workers: int,
    also: Also | None = None,
) -> str:
    """Compute all missing rows, with a progress bar where there is a terminal.

    Stopped at any moment, what was written stays, and the next call goes on. Row
    `view * N + image` of a split holds a view of one of its N photographs. The answer is why not
    all rows are there at the end, in words for the user; empty if they are.
    """
    missing = {split: missing_rows(store, split) for split in photos if split in store.splits}
    total = sum(len(rows) for rows in missing.values())
    if not total or not store.writable:
        return "" if not total else "another training is filling it"
    with tqdm(total=total, unit="image", desc="  storing", disable=None) as bar:
        for split, rows in missing.items():
            for batch, images, _ in decoded_views(photos[split], rows, workers, BATCH):
                features = computer(images)
                if also is not None:
                    also(split, batch, features)
                try:
                    store.write(split, batch, features)
                except OSError as error:
                    if error.errno in DISK_FULL:
                        return "the disk is full"
                    raise
                bar.update(len(batch))
    store.flush()
    return ""


def missing_rows(store: RowStore, split: str) -> np.ndarray:
    """Numbers of the rows that are not there yet."""
    return np.flatnonzero(~store.done(split))


def decoded_views(
    photos: Views, rows: np.ndarray, workers: int, batch: int
) -> Iterator[tuple[np.ndarray, np.ndarray, dict[int, str]]]:
    """The pixels of rows, decoded ahead by threads; all views of a photograph from one decoding.

    Row `view * N + image` is a view of one of N photographs; at most `batch` rows come at a time.
    Yields row numbers (B,), their pixels (B, H, W, 3) uint8, and image -> why it could not be
    read, whose rows are left out. B may be 0.
    """
    by_image = _by_image(photos, rows)
    starts = range(0, len(rows), batch)
    yield from _decoded(photos, rows, workers, [by_image[at : at + batch] for at in starts])


def decoded_stretches(
    photos: Views, rows: np.ndarray, workers: int, photographs: int
) -> Iterator[tuple[np.ndarray, np.ndarray, dict[int, str]]]:
    """As `decoded_views`, but what comes together does not depend on which rows are asked for.

    The photographs 0 to `photographs` - 1 with all their views that are asked for come first, then
    as many more. So what is computed batch by batch has the same bytes when it was stopped and some
    photographs before that place could not be read.
    """
    by_image = _by_image(photos, rows)
    stretch = rows[by_image] % max(1, len(photos.paths)) // photographs
    batches = np.split(by_image, np.flatnonzero(np.diff(stretch)) + 1) if len(rows) else []
    yield from _decoded(photos, rows, workers, batches)


def _by_image(photos: Views, rows: np.ndarray) -> np.ndarray:
    """The places of rows, all views of a photograph one after the other."""
    views, images = np.divmod(rows, max(1, len(photos.paths)))
    return np.lexsort((views, images))


def _decoded(
    photos: Views, rows: np.ndarray, workers: int, batches: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray, dict[int, str]]]:
    views, images = np.divmod(rows, max(1, len(photos.paths)))
    tasks = ((image, places) for places in batches for image in np.unique(images[places]))

    def read(task: tuple[int, np.ndarray]) -> np.ndarray | UnreadableImage:
        image, places = task
        try:
            return photos.views(image, views[places[images[places] == image]].tolist())
        except UnreadableImage as error:
            return error

    most = max((len(np.unique(images[places])) for places in batches), default=1)
    with closing(read_ahead(read, tasks, workers, BATCHES_AHEAD * most)) as decoded:
        for places in batches:
            shown = np.unique(images[places])
            answers = list(islice(decoded, len(shown)))
            unreadable = {
                int(image): str(answer)
                for image, answer in zip(shown, answers, strict=True)
                if isinstance(answer, UnreadableImage)
            }
            pixels = [answer for answer in answers if not isinstance(answer, UnreadableImage)]
            whole = places[~np.isin(images[places], list(unreadable))]
            nothing = np.empty((0, 0, 0, 3), np.uint8)
            yield rows[whole], np.concatenate(pixels) if pixels else nothing, unreadable
