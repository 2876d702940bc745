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
    # Class by class, each in the order of the batch.
    order = np.argsort(labels, kind="stable")
    _, first, of_class = np.unique(labels[order], return_index=True, return_inverse=True)
    is_second = (np.arange(len(labels)) - first[of_class.reshape(-1)]) % 2 == 1
    one, other = order[np.flatnonzero(is_second) - 1], order[is_second]
    partner[one], partner[other] = other, one
    unmatched = np.flatnonzero(partner == np.arange(len(labels)))
    pairs = len(unmatched) // 2
    one, other = unmatched[0 : 2 * pairs : 2], unmatched[1 : 2 * pairs : 2]
    partner[one], partner[other] = other, one
    return partner


def random_negative_partners(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B,) int32 partners for (B,) labels: for every image a random one of another class.

    An image with no image of another class in the batch stays itself.
    """
    labels = np.asarray(labels)
    partner = np.arange(len(labels), dtype=np.int32)
    is_other = labels[:, None] != labels
    counts = is_other.sum(axis=1)
    paired = np.flatnonzero(counts)
    if len(paired):
        # Of each row the drawn one of the columns that hold True.
        drawn = rng.integers(0, counts[paired])
        ranks = np.cumsum(is_other[paired], axis=1)
        partner[paired] = np.argmax(ranks > drawn[:, None], axis=1)
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
