"""Batches of pairs, for the verification loss: every image with a partner from its own batch."""

import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np

from finegrain.models.heads import CATEGORY, SAME_CLASS
from finegrain.models.multi_loss import PARTNER
from finegrain.training.partners import (
    drawn_partners,
    random_negative_partners,
    swap_positive_partners,
)
from finegrain.training.stage import Negatives

PairBatch: TypeAlias = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]
TwoImages: TypeAlias = tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]
# Keras looks at so many batches to learn their shapes, and then begins anew.
LOOKED_AT = 2


def same_class_targets(targets: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """(B, 2) float32 targets of the pairwise head: shares of "another" and "the same class".

    Soft where the (B, C) targets of the classes are; `partner` is (B,).
    """
    same = np.sum(targets * targets[partner], axis=1, dtype=np.float32)
    return np.stack([1 - same, same], axis=1)


def is_positive_batch(number: int, rate: float) -> bool:
    """Whether batch `number` (0, 1, ...) is one of the positive ones, spread evenly at `rate`."""
    return math.ceil((number + 1) * rate) > math.ceil(number * rate)


def pair_batch(
    images: Any,
    targets: np.ndarray,
    positive_rate: float,
    seed: int,
    number: int,
    negatives: Negatives = "other-class",
) -> PairBatch:
    """Give every image of a batch a partner from the same batch.

    Args:
        images: (B, H, W, 3), or a dict of features (B, ...).
        targets: (B, C) one-hot or soft; the largest share says what class an image is paired by.
        positive_rate: share of positive batches, evenly spread and beginning with the first.
        seed: of the negatives.
        number: of the batch. It draws the same whatever was drawn before it.
        negatives: partners in the other batches: `other-class`, by `random_negative_partners`, or
            `drawn`, by `drawn_partners`.

    Returns:
        `({"image": images, "partner": (B,) int32}, {"category": targets, "same_class": (B, 2)})`.
    """
    labels = np.argmax(targets, axis=1)
    if is_positive_batch(number, positive_rate):
        partner = swap_positive_partners(labels)
    else:
        rng = np.random.default_rng([seed, number])
        if negatives == "drawn":
            partner = drawn_partners(len(labels), rng)
        else:
            partner = random_negative_partners(labels, rng)
    inputs = images if isinstance(images, dict) else {"image": images}
    return (
        {**inputs, PARTNER: partner},
        {CATEGORY: targets, SAME_CLASS: same_class_targets(targets, partner)},
    )


def two_images(pairs: Iterable[PairBatch]) -> Iterator[TwoImages]:
    """Both images of every pair, for `finegrain.models.multi_loss.two_towers`.

    Args:
        pairs: a `PairGenerator`, or batches as it gives them.

    Yields:
        `((image_1, image_2), (category_1, category_2, same_class))`; the second of each are the
        first ones' partners.
    """
    for inputs, targets in pairs:
        image, partner, category = inputs["image"], inputs[PARTNER], targets[CATEGORY]
        yield (image, image[partner]), (category, category[partner], targets[SAME_CLASS])


def warn_of_scaled(images: Any) -> None:
    """Warn where no pixel is above 1: a generator with `rescale=1/255` was left as it was."""
    if isinstance(images, np.ndarray) and images.ndim == 4 and 0 < images.max() <= 1:
        warnings.warn(
            "the images have pixels from 0 to 1, and the project's models take them from 0 to 255 "
            "and scale them themselves; leave rescale=1/255 out of the ImageDataGenerator",
            stacklevel=2,
        )


class PairGenerator(keras.utils.PyDataset):
    """Give every image of every batch a partner from the same batch.

    Wraps any iterator of `(images, labels)`: `ImageDataGenerator.flow_from_directory`, a list. A
    share of the batches is made of positive pairs, as many as the batch allows; the others of
    random negative ones.

    Warns where the first images have pixels from 0 to 1, which no model of the project takes.

    It is an iterator itself, and goes straight into `Model.fit`. Where `batches` has a length and
    gives its batches by number, as Keras's iterators of images do, an epoch is one pass through it;
    else it is a stream without end, and `fit` needs `steps_per_epoch`.

    Args:
        batches: the iterator; images (B, H, W, 3) or a dict of features (B, ...), labels (B, C)
            one-hot or soft. B may change.
        positive_rate: share of positive batches, 0 to 1, evenly spread and beginning with the
            first; the recipe's is one in four.
        seed: of the negatives. Batch number n draws the same whatever was drawn before it.
        first_batch: number of the first batch, so that a resumed training goes on as it would
            have.

    Yields:
        `({"image": images, "partner": (B,) int32},
        {"category": labels, "same_class": (B, 2)})`, as the multi-loss model takes it.
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
        self._looked_at = False
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
        images, targets = batch
        if not self._looked_at:
            self._looked_at = True
            warn_of_scaled(images)
        return pair_batch(images, targets, self.positive_rate, self.seed, number)
