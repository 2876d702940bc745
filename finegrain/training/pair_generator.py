"""Turn an iterator of labelled images into batches of pairs."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from finegrain.training.pairs import (
    random_negative_partners,
    same_class_targets,
    swap_positive_partners,
)

PairBatch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def is_positive_batch(number: int, rate: float) -> bool:
    """Whether batch `number` (0, 1, ...) is one of the positive ones, spread evenly at `rate`."""
    return math.ceil((number + 1) * rate) > math.ceil(number * rate)


class PairGenerator:
    """Give every image of every batch a partner from the same batch.

    Wraps any iterator of `(images, one-hot labels)`: `ImageDataGenerator.flow_from_directory`,
    the project's own photo stream, a list. A share of the batches is made of positive pairs, as
    many as the batch allows; the others of random negative ones.

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
        batches: Iterable[tuple[np.ndarray, np.ndarray]],
        positive_rate: float = 0.25,
        seed: int = 0,
        first_batch: int = 0,
    ):
        if not 0 <= positive_rate <= 1:
            raise ValueError(
                f"`positive_rate` must be between 0 and 1. Received: positive_rate={positive_rate}"
            )
        self.batches = iter(batches)
        self.positive_rate = positive_rate
        self.seed = seed
        self.batch = first_batch

    def __iter__(self) -> Iterator[PairBatch]:
        return self

    def __next__(self) -> PairBatch:
        images, one_hot = next(self.batches)
        number = self.batch
        self.batch += 1
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
