"""The batches that judge an epoch: the same images, and the same pairs, every time."""

from typing import Any

import keras

from finegrain.images.batches import Batches
from finegrain.training.objectives.objective import Objective
from finegrain.training.stage import Stage


class ValidationBatches(keras.utils.PyDataset):
    """Validation batches by number, as `Model.fit` takes them.

    Not an iterator: Keras starts every evaluation anew, and would hand out an iterator's first
    batches twice.

    Args:
        batches: unshuffled photographs.
        objective: makes inputs and targets of them.
        stage: in training.

    Attributes:
        error: what reading the last batch raised, since frameworks wrap errors beyond recognition.
    """

    def __init__(self, batches: Batches, objective: Objective, stage: Stage):
        super().__init__()
        self.error: Exception | None = None
        self._batches, self._objective, self._stage = batches, objective, stage

    def __len__(self) -> int:
        return self._batches.steps()

    def __getitem__(self, index: int) -> Any:
        try:
            batch = self._batches.batch(0, index)
        except Exception as error:
            self.error = error
            raise
        images, targets = batch
        return self._objective.batch(images, targets, self._stage, seed=0, number=index)
