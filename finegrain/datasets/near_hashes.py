"""All pairs of 64-bit hashes that differ in few bits, without comparing all pairs."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

HASH_BITS = 64
# Comparing two hashes takes as long as this many steps of a sort.
COST_OF_MEETING = 8


def near_pairs(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Pairs of hashes whose Hamming distance is at most `distance`.

    Pigeonhole: cut the 64 bits into `distance + k` bands; two hashes that differ in at most
    `distance` bits agree in at least k bands. So it is enough to compare hashes that agree in
    some choice of k bands, and those stand side by side after sorting by these bands. A larger k
    means more sortings and fewer chance meetings; k grows with the number of hashes, which keeps
    the work near n log n (see `choose_bands`).

    Args:
        hashes: (N,) uint64, all different.
        distance: bits that may differ, 0 to 63.

    Returns:
        (P, 2) int64 indices, first < second, each pair once, in ascending order.
    """
    agreeing = choose_bands(len(hashes), distance)
    found = [
        pair
        for mask in _masks(distance + agreeing, agreeing)
        for pair in _pairs_agreeing(hashes, mask, distance)
    ]
    pairs = np.concatenate(found) if found else np.empty((0, 2), np.int64)
    return np.unique(np.sort(pairs, axis=1), axis=0)


def choose_bands(count: int, distance: int) -> int:
    """How many bands must agree, so that sorting plus chance meetings cost least."""

    def cost(agreeing: int) -> float:
        sortings = math.comb(distance + agreeing, agreeing)
        meetings = count**2 / 2 ** (HASH_BITS * agreeing / (distance + agreeing) + 1)
        return sortings * (count * math.log2(count + 2) + COST_OF_MEETING * meetings)

    return min(range(1, 5), key=cost)


def _masks(bands: int, agreeing: int) -> Iterator[np.uint64]:
    edges = [HASH_BITS * band // bands for band in range(bands + 1)]
    ones = [(1 << high) - (1 << low) for low, high in itertools.pairwise(edges)]
    for chosen in itertools.combinations(ones, agreeing):
        yield np.uint64(sum(chosen))


def _pairs_agreeing(hashes: np.ndarray, mask: np.uint64, distance: int) -> Iterator[np.ndarray]:
    """Pairs within `distance` among hashes that are equal under a mask, in bounded memory."""
    keys = hashes & mask
    order = np.argsort(keys, kind="stable")
    keys, hashes = keys[order], hashes[order]
    # Step s compares each hash with the s-th after it, while that one still shares the key.
    alive = np.arange(len(keys))
    for step in itertools.count(1):
        alive = alive[alive < len(keys) - step]
        alive = alive[keys[alive] == keys[alive + step]]
        if not len(alive):
            return
        near = alive[count_bits(hashes[alive] ^ hashes[alive + step]) <= distance]
        if len(near):
            yield np.stack([order[near], order[near + step]], axis=1)


def count_bits(words: np.ndarray) -> np.ndarray:
    """Set bits of each uint64 (numpy has `bitwise_count` only from 2.0 on).

    Sums neighbouring bits, then pairs, then nibbles; the product adds up the eight bytes
    (Warren, "Hacker's Delight", section 5-1).
    """
    words = words - ((words >> np.uint64(1)) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    words = (words & pairs) + ((words >> np.uint64(2)) & pairs)
    words = (words + (words >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (words * np.uint64(0x0101010101010101)) >> np.uint64(56)
