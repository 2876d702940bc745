"""Samplers: which images make which batch of an epoch."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Sampler(Protocol):
    """One way of dealing out an epoch's images."""

    def __call__(
        self, labels: np.ndarray, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Index arrays of at most `batch_size`, one a batch; as many in every epoch.

        The labels (N,) are the images' classes; the generator is the epoch's own.
        """


def in_order(labels: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Every image once, in the order they are given; the last batch holds the rest."""
    return _cut(np.arange(len(labels)), batch_size)


def shuffled(labels: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Every image once, in random order; the last batch holds the rest."""
    return _cut(rng.permutation(len(labels)), batch_size)


def _cut(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


@dataclass(frozen=True)
class ClassBalanced:
    """Batches of P classes with K images each, so that each holds many positive pairs.

    P-K sampling of Hermans et al. 2017, arXiv 1703.07737, section 2, laid out so that an epoch
    still shows every image at least once: each class is cut into groups of K, the last group
    filled up with random images of the class. Towards the end of an epoch, when fewer than P
    classes have images left, batches hold fewer classes. P is `batch_size // images_per_class`.
    """

    images_per_class: int

    def __call__(
        self, labels: np.ndarray, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        classes_per_batch = max(1, batch_size // self.images_per_class)
        queues = [self._groups(members, rng) for members in _by_class(labels)]
        left = np.array([len(queue) for queue in queues])
        waiting, batches = np.arange(len(queues)), []
        while len(waiting):
            # Fullest classes first: it keeps the number of classes a batch high until the end.
            chosen = waiting[_fullest(left[waiting], rng.random(len(waiting)), classes_per_batch)]
            batches.append(np.concatenate([queues[place].pop() for place in chosen]))
            left[chosen] -= 1
            if not left[chosen].all():
                waiting = waiting[left[waiting] > 0]
        return [batches[index] for index in rng.permutation(len(batches))]

    def _groups(self, members: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        members = rng.permutation(members)
        filled = rng.choice(members, -len(members) % self.images_per_class)
        return list(np.concatenate([members, filled]).reshape(-1, self.images_per_class))


def _by_class(labels: np.ndarray) -> list[np.ndarray]:
    """For each class that occurs, in their order, the indices of its images, ascending."""
    order = np.argsort(labels, kind="stable")
    _, first = np.unique(labels[order], return_index=True)
    return np.split(order, first[1:]) if len(labels) else []


def _fullest(left: np.ndarray, draws: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` largest of `left`, largest first, by their draws where they equal."""
    places = np.arange(len(left))
    if count < len(left):
        # Sorted are only those that may be among them.
        places = np.flatnonzero(left >= np.partition(left, -count)[-count])
    return places[np.lexsort((draws[places], -left[places]))[:count]]
