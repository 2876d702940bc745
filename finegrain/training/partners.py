"""Who is whose partner inside a batch, for the verification loss."""

import numpy as np


def swap_positive_partners(labels: np.ndarray) -> np.ndarray:
    """Pair the images of a batch by swapping, positive pairs first.

    Walk the batch of (B,) labels; each image still alone swaps places with the next one of its
    class that is still alone. Those that find nobody swap among themselves in their order, which
    makes negative pairs. An odd last one stays itself.

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
    """(B,) int32 partners for (B,) labels: for every image a random one of another class.

    An image with no image of another class in the batch stays itself.
    """
    labels = np.asarray(labels)
    partner = np.arange(len(labels), dtype=np.int32)
    for index, label in enumerate(labels):
        others = np.flatnonzero(labels != label)
        if len(others):
            partner[index] = rng.choice(others)
    return partner


def drawn_partners(count: int, rng: np.random.Generator) -> np.ndarray:
    """(B,) int32 partners, drawn whatever the classes, so that some pairs are of one class.

    Two by two, as two independent draws of photographs stand side by side. It is its own inverse;
    of an odd number one stays itself.
    """
    partner = np.arange(count, dtype=np.int32)
    drawn = rng.permutation(count)
    one, other = drawn[: count // 2], drawn[count // 2 : count // 2 * 2]
    partner[one], partner[other] = other, one
    return partner
