"""Views of photographs, decoded ahead by a few threads."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from finegrain.decode import UnreadableImage
from finegrain.read_ahead import read_ahead

BATCHES_AHEAD = 2


class Views(Protocol):
    """N photographs, of each of which there are views by number; threads may share them."""

    @property
    def paths(self) -> Sequence[Path]:
        """The N image files."""

    def views(self, index: int, numbers: Sequence[int]) -> np.ndarray:
        """Some views of a photograph, (K, H, W, 3) uint8; may raise `UnreadableImage`."""


def decoded_views(
    photos: Views, rows: np.ndarray, workers: int, batch: int
) -> Iterator[tuple[np.ndarray, np.ndarray, dict[int, str]]]:
    """Batches of row numbers with their pixels; all views of a photograph from one decoding.

    Args:
        photos: row `view * N + image` is a view of one of its N photographs.
        rows: (R,) numbers of the rows wanted.
        workers: threads.
        batch: rows a batch, at most.

    Yields:
        Row numbers (B,), their pixels (B, H, W, 3) uint8, and image -> why it could not be read,
        whose rows are left out. B may be 0.
    """
    views, images = np.divmod(rows, max(1, len(photos.paths)))
    by_image = np.lexsort((views, images))
    batches = [by_image[start : start + batch] for start in range(0, len(rows), batch)]

    def wanted() -> Iterator[tuple[int, list[int]]]:
        for places in batches:
            for image in np.unique(images[places]):
                yield image, views[places[images[places] == image]].tolist()

    def read(wanted: tuple[int, list[int]]) -> np.ndarray | UnreadableImage:
        try:
            return photos.views(*wanted)
        except UnreadableImage as error:
            return error

    photos_a_batch = math.ceil(batch * len(np.unique(images)) / max(1, len(rows)))
    ahead = max(1, BATCHES_AHEAD * photos_a_batch)
    with closing(read_ahead(read, wanted(), workers, ahead)) as decoded:
        for places in batches:
            some = np.unique(images[places])
            answers = list(islice(decoded, len(some)))
            yield _gathered(rows[places], images[places], some, answers)


def _gathered(
    rows: np.ndarray,
    images: np.ndarray,
    some: np.ndarray,
    answers: list[np.ndarray | UnreadableImage],
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    unreadable = {
        int(image): str(answer)
        for image, answer in zip(some, answers, strict=True)
        if isinstance(answer, UnreadableImage)
    }
    pixels = [answer for answer in answers if not isinstance(answer, UnreadableImage)]
    if not pixels:
        return rows[:0], np.empty((0, 0, 0, 3), np.uint8), unreadable
    return rows[~np.isin(images, list(unreadable))], np.concatenate(pixels), unreadable
