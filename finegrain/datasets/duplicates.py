"""Groups of photographs that show the same picture, which must not stand on both sides of a split.

Two images are *exact* duplicates if their files are equal, *near* duplicates if two tests agree:
their 64-bit perceptual hashes differ in at most `NEAR_DISTANCE` bits, and their 8 x 8 grey
thumbnails correlate with at least `LIKE`. The hash finds candidates fast but keeps only the signs
of frequencies; the thumbnail brings back their size.

Both numbers come from looking at pairs. Among all 520,000 pairs of the 1,020 labelled Oxford
flowers, 71 have hashes at most 10 bits apart: 70 are the same photograph (66 at 0 bits, three at
2 and 4, one crop at 10; correlation 0.95 or more), one is a sunflower and a daisy (0.79). At 12
bits, all 10 pairs are different flowers (0.87 at most); at 14 and 16 bits two more crops of one
photograph were seen among 354 pairs, nine of which are different flowers above 0.9. 900 dogs and
600 cats and dogs have no pair within 10 bits. Of copies made from 333 flowers and dogs, found
were: JPEG quality 30, half size, 20 and 30 % brighter, greyscale: all; cropped by 2 %: 99 %; by
5 %: about half; by 10 %: 1 %. Among 20,000 random crops of 2,520 photographs, 1,267 groups hold
crops of one photograph and 5 mix several. Mirrored copies are not looked for.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd

from finegrain.read_ahead import default_workers, read_ahead

NEAR_DISTANCE = 10
LIKE = 0.9
# A picture with less contrast (standard deviation, in grey levels) has nothing to compare.
LEAST_CONTRAST = 2.0
HASH_BITS = 64
# Comparing two hashes takes as long as this many steps of a sort.
COST_OF_MEETING = 8


def group_duplicates(
    sha1: Sequence[str], hashes: np.ndarray, thumbnails: np.ndarray, distance: int = NEAR_DISTANCE
) -> np.ndarray:
    """(N,) int64 group numbers, 0, 1, 2, ... in the order of each group's first image.

    Being a duplicate is passed on: if A is like B and B like C, the three are one group. For N
    files `hashes` are (N,) uint64 and `thumbnails` (N, 64) uint8, see `Scan`; of the hashes
    `distance` bits may differ, 0 to 63, or with a negative one only equal files are duplicates.
    """
    file_of, _ = pd.factorize(np.asarray(sha1))
    _, first = np.unique(file_of, return_index=True)
    groups = np.arange(len(first))
    if distance >= 0:
        groups = _group_alike(hashes[first], thumbnails[first], distance)
    # Numbers in the order of appearance, whatever they were before.
    return pd.factorize(groups[file_of])[0]


def _group_alike(hashes: np.ndarray, thumbnails: np.ndarray, distance: int) -> np.ndarray:
    """(N,) groups of like images, each by the number of its first."""
    distinct, hash_of, count = np.unique(hashes, return_inverse=True, return_counts=True)
    pairs = near_pairs(distinct, distance)
    # Of a large data set few images have a hash that any other comes near.
    met = count > 1
    met[pairs.ravel()] = True
    chosen = np.flatnonzero(met[hash_of])
    groups = np.arange(len(hashes))
    groups[chosen] = chosen[_spread(hash_of[chosen], pairs, _standardise(thumbnails[chosen]))]
    return groups


def _spread(hash_of: np.ndarray, pairs: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Connected components: spread from image to image over like ones not yet reached.

    Only unreached images are compared, so a thousand copies of one picture cost a thousand
    comparisons, not a million.

    Args:
        hash_of: (N,) number of each image's hash.
        pairs: (P, 2) numbers of hashes that are near.
        pictures: (N, 64) from `_standardise`.
    """
    neighbours = defaultdict(list)
    for first, second in pairs.tolist():
        neighbours[first].append(second)
        neighbours[second].append(first)
    contrasted = np.flatnonzero(pictures.any(axis=1))
    waiting = defaultdict(list)
    for image in contrasted.tolist():
        waiting[hash_of[image]].append(image)

    groups = np.arange(len(hash_of))
    reached = np.zeros(len(hash_of), bool)
    for start in contrasted.tolist():
        if reached[start]:
            continue
        waiting[hash_of[start]].remove(start)
        frontier = [start]
        while frontier:
            image = frontier.pop()
            for near in (hash_of[image], *neighbours.get(hash_of[image], ())):
                candidates = waiting.get(near)
                if not candidates:
                    continue
                like = pictures[candidates] @ pictures[image] >= LIKE
                found = list(itertools.compress(candidates, like))
                waiting[near] = list(itertools.compress(candidates, ~like))
                groups[found], reached[found] = start, True
                frontier += found
    return groups


def _standardise(thumbnails: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and length 1, whose dot product is their correlation; 0 if all grey."""
    rows = thumbnails.astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    contrast = rows.std(axis=1, keepdims=True)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return np.where(contrast >= LEAST_CONTRAST, rows, 0)


def near_pairs(hashes: np.ndarray, distance: int) -> np.ndarray:
    """The pairs of (N,) different uint64 hashes that differ in at most `distance` bits, 0 to 63.

    (P, 2) int64 indices, first < second, each pair once, in ascending order. Pigeonhole: of
    `distance + k` bands of the 64 bits, such a pair agrees in at least k. So it is enough to
    compare hashes that agree in a choice of k bands; sorted by these they stand side by side. A
    larger k means more sortings and fewer chance meetings, see `choose_bands`.
    """
    agreeing = choose_bands(len(hashes), distance)
    masks = _masks(distance + agreeing, agreeing)
    found = [np.empty((0, 2), np.int64)]
    # NumPy sorts and compares outside Python's lock.
    workers = default_workers()
    search = partial(_pairs_agreeing, hashes, distance=distance)
    for pairs in read_ahead(lambda mask: list(search(mask)), masks, workers, workers):
        found += pairs
    return np.unique(np.concatenate(found), axis=0)


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
    # A stable sort leaves equal keys in the order of their indices.
    order = np.argsort(keys, kind="stable")
    keys, hashes = keys[order], hashes[order]
    # Step s compares each hash with the s-th after it, while that one still shares the key.
    alive = np.arange(len(keys))
    for step in itertools.count(1):
        alive = alive[alive < len(keys) - step]
        alive = alive[keys[alive] == keys[alive + step]]
        if not len(alive):
            return
        near = alive[np.bitwise_count(hashes[alive] ^ hashes[alive + step]) <= distance]
        yield np.stack([order[near], order[near + step]], axis=1)
