"""Compute the rows that a store still lacks."""

import errno
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from finegrain.features.feature_computer import FeatureComputer
from finegrain.images.photo_batches import PhotoBatches
from finegrain.stores.row_store import RowStore

# Photographs computed at a time: enough to keep all cores busy, little memory.
BATCH = 32
BATCHES_AHEAD = 2


def missing_rows(store: RowStore, split: str) -> np.ndarray:
    """Numbers of the rows that are not there yet."""
    return np.flatnonzero(~store.done(split))


def fill(
    store: RowStore,
    photos: dict[str, PhotoBatches],
    computer: FeatureComputer,
    workers: int,
) -> str:
    """Compute all missing rows, with a progress bar where there is a terminal.

    Stopped at any moment, what was written stays, and the next call goes on.

    Args:
        store: to fill; row `view * N + image` of a split holds a view of an image.
        photos: split -> where its N photographs come from.
        computer: computes the features.
        workers: threads that decode photographs ahead.

    Returns:
        Why it ended before all rows were there, in words for the user; empty if they are.

    Raises:
        UserError: an image can no longer be read.
        FeatureOverflow: features that do not fit the dtype of the store.
    """
    missing = {split: missing_rows(store, split) for split in photos if split in store.splits}
    total = sum(len(rows) for rows in missing.values())
    if not total or not store.writable:
        return "" if not total else "another training is filling it"
    with tqdm(total=total, unit="image", desc="  storing", disable=None) as bar:
        for split, rows in missing.items():
            for batch, images in _decoded(photos[split], rows, workers):
                try:
                    store.write(split, batch, computer(images))
                except OSError as error:
                    if error.errno in (errno.ENOSPC, errno.EDQUOT):
                        return "the disk is full"
                    raise
                bar.update(len(batch))
    store.flush()
    return ""


def _decoded(
    photos: PhotoBatches, rows: np.ndarray, workers: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of row numbers with their pixels; all views of a photograph from one decoding."""
    views, images = np.divmod(rows, len(photos.paths))
    by_image = np.lexsort((views, images))
    batches = [by_image[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    with ThreadPoolExecutor(workers, thread_name_prefix="photos") as pool:
        waiting = []
        try:
            for number in range(len(batches) + BATCHES_AHEAD):
                if number < len(batches):
                    batch = batches[number]
                    some = np.unique(images[batch])
                    wanted = [views[batch[images[batch] == image]] for image in some]
                    waiting.append(pool.map(photos.views, some, wanted))
                if number >= BATCHES_AHEAD:
                    pixels = np.concatenate(list(waiting.pop(0)))
                    yield rows[batches[number - BATCHES_AHEAD]], pixels
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
