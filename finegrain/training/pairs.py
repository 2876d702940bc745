"""Who is whose partner inside a batch, for the verification loss."""

import numpy as np


def swap_positive_partners(labels: np.ndarray) -> np.ndarray:
    """Pair the images of a batch by swapping, positive pairs first.

    Walk the batch; each image still alone swaps places with the next one of its class that is
    still alone. Those that find nobody swap among themselves in their order, which makes
    negative pairs. An odd last one stays itself.

    Args:
        labels: (B,) class of each image.

    Returns:
        (B,) int32, `partner`: image i is paired with image `partner[i]`. It is its own inverse:
        `partner[partner] == arange(B)`.
    """
    labels = np.asarray(labels)
    partner = np.arange(len(labels), dtype=np.int32)
    alone: dict[int, int] = {}
    for index, label in enumerate(labels.tolist()):
        if label in alone:
            other = alone.pop(label)
            partner[index], partner[other] = other, index
        else:
            alone[label] = index
    unmatched = sorted(alone.values())
    for one, other in zip(unmatched[::2], unmatched[1::2], strict=False):
        partner[one], partner[other] = other, one
    return partner


def random_negative_partners(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pair every image with a random one of another class.

    Args:
        labels: (B,) class of each image.
        rng: source of chance.

    Returns:
        (B,) int32, `partner`. An image with no image of another class in the batch stays itself.
    """
    labels = np.asarray(labels)
    partner = np.arange(len(labels), dtype=np.int32)
    for index, label in enumerate(labels):
        others = np.flatnonzero(labels != label)
        if len(others):
            partner[index] = rng.choice(others)
    return partner


def same_class_targets(labels: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """One-hot targets of the pairwise head.

    Args:
        labels: (B,) class of each image.
        partner: (B,) index of each image's partner.

    Returns:
        (B, 2) float32: [1, 0] for another class, [0, 1] for the same.
    """
    labels = np.asarray(labels)
    return np.eye(2, dtype=np.float32)[(labels == labels[partner]).astype(np.int64)]
