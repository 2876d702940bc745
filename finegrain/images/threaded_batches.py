"""Batches of images, made in threads as one thread would make them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

R = TypeVar("R")


class ThreadedBatches(ABC):
    """Makes the batches of a Keras image iterator; subclasses say what images and labels are.

    Args:
        iterator: whose images, labels and generator to use.
        workers: threads.
    """

    def __init__(self, iterator: Any, workers: int):
        self.iterator = iterator
        self.generator = iterator.image_data_generator
        self._pool = ThreadPoolExecutor(workers) if workers > 1 else None

    def __call__(self, index_array: np.ndarray) -> Any:
        """The batch of the images of `index_array`, as the iterator would make it."""
        shape = self.image_shape()
        batch = np.zeros((len(index_array), *shape), self.iterator.dtype)
        if self.generator.preprocessing_function:
            # The user's function may draw random numbers, and need not bear several threads.
            for place, image in zip(batch, self._map(self.read, index_array), strict=True):
                place[...] = self._changed(image, self.generator.get_random_transform(shape))
            return self.with_targets(batch, index_array)
        drawn = [self.generator.get_random_transform(shape) for _ in index_array]

        def make(place: np.ndarray, index: int, parameters: dict[str, Any]) -> None:
            place[...] = self._changed(self.read(index), parameters)

        for _ in self._map(make, batch, index_array, drawn):
            pass
        return self.with_targets(batch, index_array)

    @abstractmethod
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image."""

    @abstractmethod
    def read(self, index: int) -> np.ndarray:
        """One image, of its own: it may be changed in place."""

    @abstractmethod
    def with_targets(self, batch: np.ndarray, index_array: np.ndarray) -> Any:
        """The batch with what the iterator gives beside the images."""

    def _map(self, function: Callable[..., R], *arguments: Iterable[Any]) -> Iterable[R]:
        return (self._pool.map if self._pool else map)(function, *arguments)

    def _changed(self, image: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
        return self.generator.standardize(self.generator.apply_transform(image, parameters))
