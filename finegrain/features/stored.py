"""Stored features: what they depend on, and batches of them in the order of the photographs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from finegrain.errors import UserError
from finegrain.features.compute import FeatureComputer, FeatureOverflow
from finegrain.features.cut import Below, network_digest
from finegrain.images.batches import PhotoBatches
from finegrain.images.pixels import photos_digest
from finegrain.models.backbone import weights_digest
from finegrain.models.heads import EMBEDDING
from finegrain.stores.row_layout import Columns, RowKind
from finegrain.stores.row_store import DamagedStore, RowStore
from finegrain.stores.store_folder import StoreFolder


def feature_key(
    cut: Below,
    photos: dict[str, PhotoBatches],
    checksums: Mapping[Path, str],
    views: int,
    engine: str,
) -> dict[str, Any]:
    """The key of a store, as JSON values: another key, another store.

    The images (by split) stand in the order of the store's rows; checksums are digests of their
    content; `engine` tells what computes the features, and how precisely.
    """
    first = next(iter(photos.values()))
    augmented = {
        split: {
            "ranges": batches.augmentation.ranges(),
            "seed": batches.seed,
            "views": views,
            **({"plain_views": True} if batches.plain_views else {}),
        }
        for split, batches in photos.items()
        if batches.augmentation is not None
    }
    digests = {split: photos_digest(batches.paths, checksums) for split, batches in photos.items()}
    return {
        "features": _described(cut.kinds),
        "images": digests,
        "weights": weights_digest(cut.below),
        "network": network_digest(cut.below, cut.boundary),
        **first.frame.key(),
        "augmentation": augmented,
        "engine": engine,
    }


def open_store(
    folder: StoreFolder, cut: Below, key: dict[str, Any], rows: Mapping[str, int], columns: Columns
) -> tuple[RowStore | None, dict[str, RowKind]]:
    """The store of a key of `feature_key`, as `StoreFolder.open`, and its kinds in the cut's order.

    One from before embeddings were rounded is read and filled as it was begun.
    """
    if cut.name == EMBEDDING:
        exact = {name: replace(kind, dtype="float32") for name, kind in cut.kinds.items()}
        before = {**key, "features": _described(exact)}
        if folder.path(cut.name, before).exists():
            return folder.open(cut.name, before, exact, rows, columns), exact
    return folder.open(cut.name, key, cut.kinds, rows, columns), cut.kinds


def _described(kinds: Mapping[str, RowKind]) -> dict[str, list[Any]]:
    return {name: [list(kind.shape), kind.dtype] for name, kind in kinds.items()}


@dataclass
class FeatureBatches:
    """Random access to the batches of any epoch, in order and labels those of `PhotoBatches`.

    Row `view * N + image` of the store's split holds a view of an image. Every K epochs show
    each of an image's K views once, in an order that is the image's own; K is 1 without
    augmentation. What the store does not hold is computed from the photograph.
    """

    photos: PhotoBatches
    store: RowStore
    split: str
    views: int
    computer: FeatureComputer

    def __post_init__(self) -> None:
        self._stored = self.store.done(self.split)
        self._order_of_views = lru_cache(maxsize=2)(self._make_order_of_views)

    def steps(self) -> int:
        """Batches an epoch."""
        return self.photos.steps()

    def batch(self, epoch: int, step: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Features by kind, (B, ...) each, and labels (B, C) as `PhotoBatches` gives them.

        A `UserError` where an image that is not stored can no longer be read, the store was
        damaged since it was opened, or features are too large to be rounded as stored ones are.
        """
        chosen = self.photos.chosen(epoch, step)
        cycle, turn = divmod(epoch, self.views)
        views = self._order_of_views(cycle)[chosen, turn]
        try:
            return self._features(chosen, views), self.photos.targets(chosen)
        except DamagedStore as error:
            raise UserError(
                f"{error}; start the same command again, which computes it anew"
            ) from error
        except FeatureOverflow as error:
            raise UserError(f"{error}; train with --cache-gb 0, which stores nothing") from error

    def _features(self, chosen: np.ndarray, views: np.ndarray) -> dict[str, np.ndarray]:
        rows = views * len(self.photos.paths) + chosen
        # The store may be cut short.
        stored = rows < len(self._stored)
        stored[stored] = self._stored[rows[stored]]
        features = {
            name: np.empty((len(rows), *kind.shape), kind.dtype)
            for name, kind in self.computer.kinds.items()
        }
        for kind, array in features.items():
            array[stored] = self.store.read(kind, self.split, rows[stored])
        if not stored.all():
            pixels = [
                self.photos.views(image, [view])
                for image, view in zip(chosen[~stored], views[~stored], strict=True)
            ]
            for kind, values in self.computer(np.concatenate(pixels)).items():
                features[kind][~stored] = values
        return features

    def _make_order_of_views(self, cycle: int) -> np.ndarray:
        rng = np.random.default_rng([self.photos.seed, cycle])
        return rng.permuted(np.tile(np.arange(self.views), (len(self.photos.paths), 1)), axis=1)
