"""Which images make which batch of an epoch."""

import numpy as np


def shuffled_batches(count: int, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Every image once, in random order.

    Args:
        count: number of images.
        batch_size: images a batch; the last batch holds the rest.
        rng: source of chance.

    Returns:
        Index arrays, one a batch.
    """
    order = rng.permutation(count)
    return [order[start : start + batch_size] for start in range(0, count, batch_size)]


def balanced_batches(
    labels: np.ndarray, batch_size: int, images_per_class: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Batches of P classes with K images each, so that each holds many positive pairs.

    P-K sampling of Hermans et al. 2017, arXiv 1703.07737, section 2, laid out so that an epoch
    still shows every image at least once: each class is cut into groups of K, the last group
    filled up with random images of the class.

    Args:
        labels: (N,) class of each image.
        batch_size: images a batch; P is `batch_size // images_per_class`.
        images_per_class: K.
        rng: source of chance.

    Returns:
        `len(balanced_batches(...))` index arrays; towards the end of an epoch, when fewer than
        P classes have images left, batches hold fewer classes.
    """
    classes_per_batch = max(1, batch_size // images_per_class)
    groups: dict[int, list[np.ndarray]] = {int(label): [] for label in np.unique(labels)}
    for label, queue in groups.items():
        members = rng.permutation(np.flatnonzero(labels == label))
        missing = -len(members) % images_per_class
        filled = np.concatenate([members, rng.choice(members, missing)])
        queue.extend(filled.reshape(-1, images_per_class))
    batches = []
    while groups:
        # Fullest classes first: it keeps the number of classes a batch high until the end.
        order = sorted(groups, key=lambda label: (-len(groups[label]), rng.random()))
        chosen = order[:classes_per_batch]
        batches.append(np.concatenate([groups[label].pop() for label in chosen]))
        groups = {label: queue for label, queue in groups.items() if queue}
    return [batches[index] for index in rng.permutation(len(batches))]
