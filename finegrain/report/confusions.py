"""Which classes are taken for which."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from finegrain.report.answers import Answers


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes and how often each was taken for the other.

    Attributes:
        one, other: class indices, one < other.
        one_as_other, other_as_one: mistakes either way.
        images: photographs of the two classes together.
    """

    one: int
    other: int
    one_as_other: int
    other_as_one: int
    images: int

    @property
    def mistakes(self) -> int:
        """Both ways together."""
        return self.one_as_other + self.other_as_one


def count_confusions(answers: Answers, class_count: int) -> sparse.csr_array:
    """(C,C) int64 counts, row the class it is, column the class it was given."""
    ones = np.ones(len(answers), np.int64)
    shape = (class_count, class_count)
    return sparse.coo_array((ones, (answers.labels, answers.predicted)), shape).tocsr()


def confused_pairs(counts: sparse.csr_array, most: int) -> list[ConfusedPair]:
    """The pairs with most mistakes, the rarer classes first where these are equal.

    Args:
        counts: from `count_confusions`.
        most: pairs at most.
    """
    both = sparse.triu(counts + counts.T, k=1).tocoo()
    sizes = np.asarray(counts.sum(axis=1)).reshape(-1)
    images = sizes[both.row] + sizes[both.col]
    order = np.lexsort((both.col, both.row, images, -both.data))[:most]
    if not len(order):
        return []
    one, other = both.row[order], both.col[order]
    columns = (one, other, counts[one, other], counts[other, one], images[order])
    rows = zip(*(np.asarray(column).reshape(-1).tolist() for column in columns), strict=True)
    return [ConfusedPair(*row) for row in rows]


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """How each of the C classes fared, (C,) each.

    Attributes:
        images: photographs of the class.
        right: of these, recognised.
        answered: photographs given this class.
        taken_for: the class it is most often taken for; -1 if never for another.
    """

    images: np.ndarray
    right: np.ndarray
    answered: np.ndarray
    taken_for: np.ndarray


def count_classes(counts: sparse.csr_array) -> ClassCounts:
    """Row and column sums of the confusions, and the largest mistake of each row."""
    right = counts.diagonal()
    wrong = counts.tocoo()
    off = wrong.row != wrong.col
    taken_for = np.full(counts.shape[0], -1)
    # Ascending, so that the largest, and of equals the first class, is written last.
    order = np.lexsort((-wrong.col[off], wrong.data[off]))
    taken_for[wrong.row[off][order]] = wrong.col[off][order]
    images, answered = (np.asarray(counts.sum(axis=axis)).reshape(-1) for axis in (1, 0))
    return ClassCounts(images, right, answered, taken_for)
