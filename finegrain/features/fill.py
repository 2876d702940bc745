"""Compute the rows that a store still lacks."""

import numpy as np
from tqdm import tqdm

from finegrain.features.decoded_views import decoded_views
from finegrain.features.feature_computer import FeatureComputer
from finegrain.images.batches import PhotoBatches
from finegrain.stores.row_store import RowStore
from finegrain.whole_files import DISK_FULL

# Photographs computed at a time: enough to keep all cores busy, little memory.
BATCH = 32


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
            for batch, images, _ in decoded_views(photos[split], rows, workers, BATCH):
                try:
                    store.write(split, batch, computer(images))
                except OSError as error:
                    if error.errno in DISK_FULL:
                        return "the disk is full"
                    raise
                bar.update(len(batch))
    store.flush()
    return ""
