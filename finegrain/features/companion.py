"""Features of two places in one pass: the plain embedding, and what a later stage trains on.

The boundary of a stage that trains the last blocks lies on the way to the embedding.
"""

from dataclasses import dataclass

import keras
import numpy as np

from finegrain.errors import by_product
from finegrain.features.cut import Below, Cut, below_with_mean
from finegrain.stores.row_layout import RowKind
from finegrain.stores.row_store import RowStore


@dataclass(frozen=True)
class Companion:
    """A store that the passes of another one fill as well.

    Attributes:
        cut: inside the backbone, what the store holds the features of.
        store: to be closed by who opened it.
        rows: split -> (N,) row in the store of each photograph as it is; -1 for none.
    """

    cut: Cut
    store: RowStore
    rows: dict[str, np.ndarray]

    def below(self, model: keras.Model) -> Below:
        """What computes the mean of a model's feature map, and the store's features beside it."""
        return below_with_mean(model, self.cut)

    def is_empty(self) -> bool:
        """Whether it can be filled, and no row of a plain photograph is there yet."""
        return self.store.writable and not any(
            self.store.done(split)[rows[rows >= 0]].any() for split, rows in self.rows.items()
        )

    def write(self, split: str, images: np.ndarray, features: dict[str, np.ndarray]) -> None:
        """Keep the features of some photographs, by number; on a full disk they are left out."""
        rows = self.rows.get(split, np.full(images.max(initial=-1) + 1, -1))[images]
        known = rows >= 0
        values = {name: features[name][known] for name in self.cut.kinds}
        with by_product(f"{self.store.path}, which the same passes could fill,"):
            self.store.write(split, rows[known], values)

    @property
    def kinds(self) -> dict[str, RowKind]:
        """Of the store's features."""
        return self.cut.kinds
