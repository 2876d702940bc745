"""The pairs of the recipe as first coded: two batches of images, fed to two towers."""

import itertools
from collections.abc import Iterator

import keras
import numpy as np

# One batch in so many is made of positive pairs.
POSITIVE_EVERY = 4

Batch = tuple[np.ndarray, np.ndarray]
PairedBatch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def training_pairs(flow: Iterator[Batch]) -> Iterator[PairedBatch]:
    """Endless pairs of batches: one in four swapped inside itself, else two that follow.

    Args:
        flow: gives images (B, H, W, 3) and one-hot labels (B, C) for ever.
    """
    for number in itertools.count():
        one = next(flow)
        other = swapped(one) if number % POSITIVE_EVERY == 0 else next(flow)
        yield paired(one, other)


class ValidationPairs(keras.utils.PyDataset):
    """Every validation image once in each tower.

    Args:
        flow: batches by number, of `flow_from_directory`.
    """

    def __init__(self, flow):
        super().__init__()
        self.flow = flow

    def __len__(self) -> int:
        return len(self.flow)

    def __getitem__(self, index: int) -> PairedBatch:
        images, labels = self.flow[index]
        if index % POSITIVE_EVERY == 0:
            return paired((images, labels), swapped((images, labels)))
        return paired((images, labels), (np.roll(images, 1, axis=0), np.roll(labels, 1, axis=0)))


def swapped(batch: Batch) -> Batch:
    """The batch in another order, so that as many images as can be stand beside their class.

    Each image swaps places with the next one of its class that has not moved; those left over
    swap among themselves.
    """
    images, one_hot = batch
    labels = np.argmax(one_hot, axis=1)
    order = np.arange(len(labels))
    moved: set[int] = set()
    left_over = None
    for index, label in enumerate(labels):
        if index in moved:
            continue
        later = (other for other in range(index + 1, len(labels)) if other not in moved)
        other = next((other for other in later if labels[other] == label), None)
        if other is None and left_over is not None:
            other, left_over = left_over, None
        elif other is None:
            left_over = index
            continue
        order[index], order[other] = other, index
        moved |= {index, other}
    return images[order], one_hot[order]


def paired(one: Batch, other: Batch) -> PairedBatch:
    """Inputs and targets of the two towers; the longer batch is cut to the shorter."""
    count = min(len(one[0]), len(other[0]))
    (images_1, labels_1), (images_2, labels_2) = (
        (images[:count], labels[:count]) for images, labels in (one, other)
    )
    same = np.argmax(labels_1, axis=1) == np.argmax(labels_2, axis=1)
    return (
        {"image_1": images_1, "image_2": images_2},
        {
            "category_1": labels_1,
            "category_2": labels_2,
            "same_class": np.eye(2, dtype=np.float32)[same.astype(int)],
        },
    )
