"""Cut batches into parts that learn together what the whole batch would have taught."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import keras
import numpy as np

from finegrain.models.heads.category import CATEGORY
from finegrain.models.heads.same_class import SAME_CLASS
from finegrain.models.multi_loss import PARTNER
from finegrain.training.pairs import random_negative_partners, same_class_targets


def split_batch(
    inputs: Any, targets: Any, parts: int, rng: np.random.Generator
) -> list[tuple[Any, Any]]:
    """Cut a batch into parts of nearly the same size.

    Pairs that swap places stay together, so positive batches lose nothing. Random negative
    partners point across any cut; each part draws its own, from fewer images but by the same
    rule.

    Args:
        inputs: (B, ...) array, or a dict of such, in which `partner` (B,) holds indices inside
            the batch.
        targets: (B, C) one-hot array, or a dict of such.
        parts: as many parts at most; fewer where there are fewer images or pairs.
        rng: of the negatives.

    Returns:
        List of (inputs, targets), each like the batch but shorter.
    """
    partner = inputs.get(PARTNER) if isinstance(inputs, dict) else None
    count = len(keras.tree.flatten(inputs)[0])
    swapped = partner is not None and bool((partner[partner] == np.arange(count)).all())
    if partner is not None and swapped:
        # A pair is named by its first image.
        units = [sorted({i, int(j)}) for i, j in enumerate(partner) if i <= j]
        units.sort(key=len, reverse=True)
    else:
        units = [[i] for i in range(count)]
    # Dealt like cards, which also spreads classes that stand together in a balanced batch.
    hands = [
        np.array([*chain.from_iterable(units[part::parts])], dtype=int) for part in range(parts)
    ]
    return [_take(inputs, targets, rows, swapped, rng) for rows in hands if len(rows)]


def _take(
    inputs: Any, targets: Any, rows: np.ndarray, swapped: bool, rng: np.random.Generator
) -> tuple[Any, Any]:
    inputs, targets = keras.tree.map_structure(lambda array: array[rows], (inputs, targets))
    if isinstance(inputs, dict) and PARTNER in inputs:
        labels = np.argmax(targets[CATEGORY], axis=1)
        if swapped:
            place = {row: index for index, row in enumerate(rows.tolist())}
            partner = np.array([place[j] for j in inputs[PARTNER].tolist()], dtype=np.int32)
        else:
            partner = random_negative_partners(labels, rng)
        inputs = {**inputs, PARTNER: partner}
        targets = {**targets, SAME_CLASS: same_class_targets(labels, partner)}
    return inputs, targets


def training_parts(
    batches: Iterable[tuple[Any, Any]], parts: int, seed: int = 0, first_batch: int = 0
) -> Iterator[tuple[Any, Any, np.ndarray]]:
    """Cut every batch into exactly so many parts, for `AccumulatedOptimizer`.

    Args:
        batches: (inputs, targets) a batch.
        parts: parts a batch.
        seed: of the negatives. Batch number n draws the same whatever was drawn before it.
        first_batch: number of the first batch.

    Yields:
        `(inputs, targets, weights)`; the weights (b,) make the mean of the parts' mean losses
        that of the whole batch. A batch of too few images is filled up with an image of
        weight 0.
    """
    for number, (inputs, targets) in enumerate(batches, first_batch):
        rng = np.random.default_rng([seed, number, parts])
        cut = split_batch(inputs, targets, parts, rng)
        sizes = [len(keras.tree.flatten(part)[0]) for part in cut]
        for part, size in zip(cut, sizes, strict=True):
            weight = size * parts / sum(sizes)
            yield *part, np.full(size, weight, dtype=np.float32)
        for _ in range(parts - len(cut)):
            yield *cut[-1], np.zeros(sizes[-1], dtype=np.float32)


class ValidationParts(keras.utils.PyDataset):
    """Validation batches cut into parts: smaller passes, the same loss and accuracies.

    With several outputs on TensorFlow, Keras takes the mean of each output's own loss by batch,
    whatever its size; there a short last batch counts a little differently in parts.

    Args:
        batches: validation batches by number.
        parts: parts a batch.
    """

    def __init__(self, batches: keras.utils.PyDataset, parts: int):
        super().__init__()
        self._batches, self._parts = batches, parts
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
            self._held = number, split_batch(inputs, targets, self._parts, rng)
        return self._held[1]
