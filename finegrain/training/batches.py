"""The batches of training and validation, whole or in parts that teach together what they do."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np

from finegrain.images.batches import Batches
from finegrain.training.objectives.objective import Objective
from finegrain.training.stage import Stage

# An objective's `split`.
Split: TypeAlias = Callable[[Any, Any, int, np.random.Generator], list[tuple[Any, Any]]]


def training_parts(
    batches: Iterable[tuple[Any, Any]],
    split: Split,
    parts: int,
    seed: int = 0,
    first_batch: int = 0,
) -> Iterator[tuple[Any, Any, np.ndarray]]:
    """Cut every batch into exactly so many parts, for `AccumulatedOptimizer`.

    Batch number n, of which the first is `first_batch`, draws the same whatever was drawn before.

    Yields:
        `(inputs, targets, weights)`; the weights (b,) make the mean of the parts' mean losses
        that of the whole batch. A batch of too few images is filled up with an image of
        weight 0.
    """
    for number, (inputs, targets) in enumerate(batches, first_batch):
        rng = np.random.default_rng([seed, number, parts])
        cut = split(inputs, targets, parts, rng)
        sizes = [len(keras.tree.flatten(part)[0]) for part in cut]
        for part, size in zip(cut, sizes, strict=True):
            weight = size * parts / sum(sizes)
            yield *part, np.full(size, weight, dtype=np.float32)
        for _ in range(parts - len(cut)):
            yield *cut[-1], np.zeros(sizes[-1], dtype=np.float32)


class ValidationBatches(keras.utils.PyDataset):
    """Validation batches by number, as `Model.fit` takes them.

    Not an iterator: Keras starts every evaluation anew, and would hand out an iterator's first
    batches twice.

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


class ValidationParts(keras.utils.PyDataset):
    """Validation batches cut into parts: smaller passes, the same loss and accuracies.

    With several outputs on TensorFlow, Keras takes the mean of each output's own loss by batch,
    whatever its size; there a short last batch counts a little differently in parts.
    """

    def __init__(self, batches: keras.utils.PyDataset, split: Split, parts: int):
        super().__init__()
        self._batches, self._split, self._parts = batches, split, parts
        self._held: tuple[int, list[tuple[Any, Any]]] = (-1, [])
        # Only the last batch may be too short for so many parts.
        self._length = (len(batches) - 1) * parts + len(self._cut(len(batches) - 1))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        number, part = divmod(index, self._parts)
        return self._cut(number)[part]

    def _cut(self, number: int) -> list[tuple[Any, Any]]:
        if self._held[0] != number:
            rng = np.random.default_rng([self._parts, number])
            inputs, targets = self._batches[number]
            self._held = number, self._split(inputs, targets, self._parts, rng)
        return self._held[1]
