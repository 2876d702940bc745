"""The batches that judge an epoch: the same images and pairs every time."""

from typing import Any

import keras

from finegrain.images.batches import Batches
from finegrain.training.pair_generator import PairGenerator


class ValidationBatches(keras.utils.PyDataset):
    """Validation batches by number, as `Model.fit` takes them.

    Not an iterator: Keras starts every evaluation anew, and would hand out an iterator's first
    batches twice.

    Args:
        batches: unshuffled photographs.
        positive_rate: share of batches made of positive pairs; None gives no pairs, for the
            softmax model.

    Attributes:
        error: what reading the last batch raised, since frameworks wrap errors beyond recognition.
    """

    def __init__(self, batches: Batches, positive_rate: float | None):
        super().__init__()
        self.error: Exception | None = None
        self._batches = batches
        self._positive_rate = positive_rate

    def __len__(self) -> int:
        return self._batches.steps()

    def __getitem__(self, index: int) -> Any:
        try:
            batch = self._batches.batch(0, index)
        except Exception as error:
            self.error = error
            raise
        if self._positive_rate is None:
            return batch
        return next(PairGenerator([batch], self._positive_rate, first_batch=index))
