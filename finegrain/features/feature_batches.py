"""Batches of stored features, in the very order in which the photographs would have come."""

from functools import lru_cache

import numpy as np

from finegrain.errors import UserError
from finegrain.features.feature_computer import FeatureComputer, FeatureOverflow
from finegrain.images.batches import PhotoBatches
from finegrain.stores.row_store import DamagedStore, RowStore


class FeatureBatches:
    """Random access to the batches of any epoch, as `PhotoBatches` gives them.

    Row `view * N + image` of the store's split holds a view of an image. Every K epochs show
    each of an image's K views once, in an order that is the image's own. What the store does
    not hold is computed from the photograph.

    Args:
        photos: gives order, labels and, for what is not stored, pixels.
        store: the features.
        split: whose rows in the store.
        views: K, 1 without augmentation.
        computer: computes what is not stored.
    """

    def __init__(
        self,
        photos: PhotoBatches,
        store: RowStore,
        split: str,
        views: int,
        computer: FeatureComputer,
    ):
        self.photos = photos
        self.store = store
        self.split = split
        self.views = views
        self.computer = computer
        self._stored = store.done(split)
        self._order_of_views = lru_cache(maxsize=2)(self._make_order_of_views)

    def steps(self) -> int:
        """Batches an epoch."""
        return self.photos.steps()

    def batch(self, epoch: int, step: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Read one batch.

        Args:
            epoch: 0, 1, ...
            step: 0 to `steps() - 1`.

        Returns:
            Features by kind, (B, ...) each, and one-hot labels (B, C) float32.

        Raises:
            UserError: an image that is not stored can no longer be read, the store was damaged
                since it was opened, or features are too large to be rounded as stored ones are.
        """
        try:
            return self._batch(epoch, step)
        except DamagedStore as error:
            raise UserError(
                f"{error}; start the same command again, which computes it anew"
            ) from error
        except FeatureOverflow as error:
            raise UserError(f"{error}; train with --cache-gb 0, which stores nothing") from error

    def _batch(self, epoch: int, step: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        chosen = self.photos.chosen(epoch, step)
        cycle, turn = divmod(epoch, self.views)
        views = self._order_of_views(cycle)[chosen, turn]
        rows = views * len(self.photos.paths) + chosen
        stored = self._is_stored(rows)
        features = {
            kind: np.empty((len(rows), *what.shape), what.dtype)
            for kind, what in self.computer.kinds.items()
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
        return features, self.photos.targets(chosen)

    def _is_stored(self, rows: np.ndarray) -> np.ndarray:
        inside = rows < len(self._stored)
        return inside & self._stored[np.where(inside, rows, 0)] if len(self._stored) else inside

    def _make_order_of_views(self, cycle: int) -> np.ndarray:
        count = len(self.photos.paths)
        rng = np.random.default_rng([self.photos.seed, cycle])
        return rng.permuted(np.tile(np.arange(self.views), (count, 1)), axis=1)
