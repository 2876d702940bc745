"""Turn batches of labelled images into batches of pairs."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from finegrain.training.pairs import (
    random_negative_partners,
    same_class_targets,
    swap_positive_partners,
)

PairBatch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
# Keras looks at so many batches to learn their shapes, and then begins anew.
LOOKED_AT = 2


def is_positive_batch(number: int, rate: float) -> bool:
    """Whether batch `number` (0, 1, ...) is one of the positive ones, spread evenly at `rate`."""
    return math.ceil((number + 1) * rate) > math.ceil(number * rate)


class PairGenerator(keras.utils.PyDataset):
    """Give every image of every batch a partner from the same batch.

    Wraps any iterator of `(images, one-hot labels)`: `ImageDataGenerator.flow_from_directory`,
    the project's own photo stream, a list. A share of the batches is made of positive pairs, as
    many as the batch allows; the others of random negative ones.

    It is an iterator itself, and goes straight into `Model.fit`. Where `batches` has a length and
    gives its batches by number, as Keras's iterators of images do, an epoch is one pass through it;
    else it is a stream without end, and `fit` needs `steps_per_epoch`.

    Args:
        batches: the iterator; images (B, H, W, 3) or a dict of features (B, ...), labels (B, C)
            one-hot. B may change.
        positive_rate: share of positive batches, 0 to 1, evenly spread and beginning with the
            first; the recipe's is one in four.
        seed: of the negatives. Batch number n draws the same whatever was drawn before it.
        first_batch: number of the first batch, so that a resumed training goes on as it would
            have.

    Yields:
        `({"image": images, "partner": (B,) int32},
        {"category": labels, "same_class": (B, 2) one-hot})`, as the multi-loss model takes it.
    """

    def __init__(
        self,
        batches: Iterable[tuple[Any, ...]],
        positive_rate: float = 0.25,
        seed: int = 0,
        first_batch: int = 0,
    ):
        if not 0 <= positive_rate <= 1:
            raise ValueError(
                f"`positive_rate` must be between 0 and 1. Received: positive_rate={positive_rate}"
            )
        super().__init__()
        self.positive_rate = positive_rate
        self.seed = seed
        self.batch = first_batch
        self._batches = batches
        self._stream = iter(batches)
        self._first: dict[int, PairBatch] = {}

    def __iter__(self) -> Iterator[PairBatch]:
        return self

    def __next__(self) -> PairBatch:
        pairs = self._pairs(next(self._stream), self.batch)
        self.batch += 1
        return pairs

    @property
    def num_batches(self) -> int | None:
        """Batches an epoch, as `Model.fit` asks for them; None for a stream."""
        numbered: Any = self._batches
        is_numbered = hasattr(numbered, "__len__") and hasattr(numbered, "__getitem__")
        return len(numbered) if is_numbered else None

    def __getitem__(self, index: int) -> PairBatch:
        """Batch `index` of an epoch; of a stream the next one, for Keras asks in order."""
        if self.num_batches is not None:
            numbered: Any = self._batches
            return self._pairs(numbered[index], self.batch + index)
        if index >= LOOKED_AT:
            return next(self)
        if index not in self._first:
            self._first[index] = next(self)
        return self._first[index]

    def on_epoch_end(self) -> None:
        """Go on to the numbers of the next epoch; batches that shuffle themselves do so now."""
        self._first.clear()
        if self.num_batches is not None:
            self.batch += self.num_batches
            getattr(self._batches, "on_epoch_end", lambda: None)()

    def _pairs(self, batch: tuple[Any, ...], number: int) -> PairBatch:
        images, one_hot = batch
        labels = np.argmax(one_hot, axis=1)
        if is_positive_batch(number, self.positive_rate):
            partner = swap_positive_partners(labels)
        else:
            rng = np.random.default_rng([self.seed, number])
            partner = random_negative_partners(labels, rng)
        inputs = images if isinstance(images, dict) else {"image": images}
        return (
            {**inputs, "partner": partner},
            {"category": one_hot, "same_class": same_class_targets(labels, partner)},
        )
