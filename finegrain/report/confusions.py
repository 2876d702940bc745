"""Which classes are taken for which, how each fared, and in which order look-alikes stand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import leaves_list, linkage

from finegrain.evaluation.answers import Answers
from finegrain.report.photographs import Photographs, Picture

MOST_ROWS = 1_000
MOST_NAMED = 12
PHOTOGRAPHS_A_SIDE = 4
# Clustering compares all pairs: 2,000 classes take seconds, 10,000 would take gigabytes.
MOST_CLUSTERED = 2_000
# The best order of a tree's leaves costs the cube of their number at worst.
MOST_ORDERED_BEST = 300


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes, first < second, how often each was taken for the other, and all their images."""

    first: int
    second: int
    first_as_second: int
    second_as_first: int
    images: int

    @property
    def mistakes(self) -> int:
        """Both ways together."""
        return self.first_as_second + self.second_as_first


def count_confusions(answers: Answers) -> sparse.csr_array:
    """(C,C) int64 counts, row the class it is, column the class it was given."""
    ones = np.ones(len(answers), np.int64)
    shape = (len(answers.classes), len(answers.classes))
    return sparse.coo_array((ones, (answers.labels, answers.predicted)), shape).tocsr()


def confused_pairs(counts: sparse.csr_array, most: int) -> list[ConfusedPair]:
    """At most so many pairs, most mistakes first, the rarer classes first where these are equal."""
    both = sparse.triu(counts + counts.T, k=1).tocoo()
    sizes = counts.sum(axis=1)
    images = sizes[both.row] + sizes[both.col]
    order = np.lexsort((both.col, both.row, images, -both.data))[:most]
    if not len(order):
        return []
    first, second = both.row[order], both.col[order]
    columns = (first, second, counts[first, second], counts[second, first], images[order])
    rows = zip(*(np.asarray(column).reshape(-1).tolist() for column in columns), strict=True)
    return [ConfusedPair(*row) for row in rows]


def look_alike_order(counts: sparse.csr_array) -> np.ndarray:
    """(C,) class indices, ordered by hierarchical clustering of their confusions.

    Each class is described by the shares in which it is given to others and others to it; average
    linkage on the cosine distance of these rows makes a tree, whose leaves are put so that
    neighbours differ least (Bar-Joseph et al. 2001, "Fast optimal leaf ordering for hierarchical
    clustering"). Classes without any mistake, or beyond the `MOST_CLUSTERED` most confused, follow
    last, in their own order.
    """
    chosen = np.sort(most_confused(counts, MOST_CLUSTERED))
    others = np.setdiff1d(np.arange(counts.shape[0]), chosen)
    if len(chosen) > 2:
        block = counts[chosen][:, chosen].toarray().astype(np.float64)
        shares = block / np.maximum(block.sum(axis=1, keepdims=True), 1)
        alike = shares + shares.T
        lengths = np.linalg.norm(alike, axis=1, keepdims=True)
        rows = alike / np.maximum(lengths, np.finfo(float).tiny)
        # As pdist's "cosine", which takes a hundred times as long for 2,000 classes.
        distances = np.clip(1 - rows @ rows.T, 0, None)[np.triu_indices(len(chosen), 1)]
        tree = linkage(distances, "average", optimal_ordering=len(chosen) <= MOST_ORDERED_BEST)
        chosen = chosen[leaves_list(tree)]
    return np.concatenate([chosen, others]).astype(np.int64)


def most_confused(counts: sparse.csr_array, most: int) -> np.ndarray:
    """At most so many indices of classes in a mistake, those of the most confused pairs first."""
    pairs = confused_pairs(counts, most * most)
    found = dict.fromkeys(number for pair in pairs for number in (pair.first, pair.second))
    return np.array(list(found)[:most], np.int64)


@dataclass(frozen=True)
class ClassRow:
    """One class: photographs to train on, judged (and recognised), and answered so (and rightly).

    None is what is not known; `taken_for` is what it is most often taken for, empty if nothing.
    """

    name: str
    training: int | None
    images: int
    accuracy: float | None
    answered: int
    precision: float | None
    taken_for: str


def class_rows(
    counts: sparse.csr_array, classes: Sequence[str], training: Sequence[int]
) -> list[ClassRow]:
    """At most `MOST_ROWS` of C classes, the worst recognised first; `training` may be empty."""
    right, images, answered = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    wrong = counts.tocoo()
    off = wrong.row != wrong.col
    taken_for = np.full(len(classes), "", object)
    # Ascending, so that the largest, and of equals the first class, is written last.
    order = np.lexsort((-wrong.col[off], wrong.data[off]))
    taken_for[wrong.row[off][order]] = np.array(classes, object)[wrong.col[off][order]]
    known = training if len(training) == len(classes) else [None] * len(classes)
    accuracy = np.where(images > 0, right / np.maximum(images, 1), np.inf)
    return [
        ClassRow(
            classes[number],
            known[number],
            int(images[number]),
            _share(right[number], images[number]),
            int(answered[number]),
            _share(right[number], answered[number]),
            taken_for[number],
        )
        for number in np.lexsort((-images, accuracy))[:MOST_ROWS].tolist()
    ]


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def class_notes(counts: sparse.csr_array, classes: Sequence[str]) -> list[str]:
    """Sentences on classes that are never answered, or have nothing to be judged by."""
    images, answered = counts.sum(axis=1), counts.sum(axis=0)
    never, empty = np.flatnonzero((answered == 0) & (images > 0)), np.flatnonzero(images == 0)
    return [
        f"{len(found)} classes {finding}: {_named(found, classes)}."
        for found, finding in (
            (never, "with photographs are never answered"),
            (empty, "have no photograph to be judged by"),
        )
        if len(found)
    ]


def _named(found: np.ndarray, classes: Sequence[str]) -> str:
    names = ", ".join(classes[number] for number in found[:MOST_NAMED])
    return names + (f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else "")


@dataclass(frozen=True)
class Side:
    """A class of a pair: photographs taken for the other one, and recognised most surely."""

    name: str
    mistaken: list[Picture]
    recognised: list[Picture]
    mistakes: int


def sides_of(pair: ConfusedPair, answers: Answers, photographs: Photographs) -> list[Side]:
    """Choose the photographs of a pair: up to two mistaken ones a side, then typical ones."""

    def side(label: int, other: int, mistakes: int) -> Side:
        own, name = answers.labels == label, answers.classes[label]
        mistaken = _surest(answers, own & (answers.predicted == other), PHOTOGRAPHS_A_SIDE // 2)
        typical = _surest(answers, own & answers.right, PHOTOGRAPHS_A_SIDE - len(mistaken))
        taken = f"{name} taken for {answers.classes[other]}"
        return Side(
            name,
            [photographs.picture(path, taken) for path in mistaken],
            [photographs.picture(path, f"{name}, recognised") for path in typical],
            mistakes,
        )

    first, second = pair.first, pair.second
    return [side(first, second, pair.first_as_second), side(second, first, pair.second_as_first)]


def _surest(answers: Answers, wanted: np.ndarray, most: int) -> list[str]:
    rows = np.flatnonzero(wanted)
    order = np.argsort(-answers.probability[rows], kind="stable")[:most]
    return answers.paths[rows[order]].tolist()
