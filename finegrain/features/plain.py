"""Features of photographs in memory, read from a store as far as it holds them."""

from collections.abc import Mapping

import numpy as np
from tqdm import tqdm

from finegrain.errors import UserError
from finegrain.features.compute import BATCH, Also, FeatureComputer, Views, decoded_views, fill
from finegrain.stores.row_store import DamagedStore, RowStore


def features_in_memory(
    store: RowStore | None,
    photos: Mapping[str, Views],
    computer: FeatureComputer,
    workers: int,
    also: Also | None = None,
) -> dict[str, np.ndarray]:
    """Split -> (N, ...) features of the one view of each photograph, of the computer's first kind.

    The store is filled first. What it cannot hold, or all where there is none, is computed and
    not stored. A photograph that cannot be read raises what its view raises.

    Raises:
        UserError: the store was damaged since it was opened.
    """
    if store is not None:
        fill(store, photos, computer, workers, also)
    name, kind = next(iter(computer.kinds.items()))
    features, missing = {}, {}
    for split, views in photos.items():
        count = len(views.paths)
        features[split] = np.empty((count, *kind.shape), kind.dtype)
        there = np.zeros(count, bool)
        if store is not None and split in store.splits:
            # The store may be cut short.
            done = store.done(split)[:count]
            there[: len(done)] = done
            try:
                features[split][there] = store.read(name, split, np.flatnonzero(there))
            except DamagedStore as error:
                raise UserError(
                    f"{error}; start the same command again, which computes it anew"
                ) from error
        missing[split] = np.flatnonzero(~there)
    total = sum(map(len, missing.values()))
    with tqdm(
        total=total, unit="image", desc="  computing", disable=None if total else True
    ) as bar:
        for split, rows in missing.items():
            for batch, images, _ in decoded_views(photos[split], rows, workers, BATCH):
                features[split][batch] = computer(images)[name]
                bar.update(len(batch))
    return features
