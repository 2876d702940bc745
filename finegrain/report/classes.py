"""How the classes fared: each in a row of the table, and the most confused with photographs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from finegrain.report.answers import Answers
from finegrain.report.confusions import ConfusedPair
from finegrain.report.photographs import Photographs, Picture

MOST_ROWS = 1_000
MOST_NAMED = 12
PHOTOGRAPHS_A_SIDE = 4


@dataclass(frozen=True)
class ClassRow:
    """One class."""

    name: str
    # Photographs to train on; None where the run does not tell.
    training: int | None
    # Photographs judged, and the share of these that were recognised.
    images: int
    accuracy: float | None
    # Photographs given this class, and the share of these that are of it.
    answered: int
    precision: float | None
    # The class it is most often taken for; empty if none.
    taken_for: str


def class_rows(
    counts: sparse.csr_array, classes: Sequence[str], training: Sequence[int]
) -> list[ClassRow]:
    """Rows of at most `MOST_ROWS` of C classes, the worst recognised first.

    Of `training`, how many photographs each class has to train on, nothing may be known.
    """
    right, images, answered = counts.diagonal(), *(_sums(counts, axis) for axis in (1, 0))
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


def _sums(counts: sparse.csr_array, axis: int) -> np.ndarray:
    return np.asarray(counts.sum(axis=axis)).reshape(-1)


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def class_notes(counts: sparse.csr_array, classes: Sequence[str]) -> list[str]:
    """Sentences on classes that are never answered, or have nothing to be judged by."""
    images, answered = (_sums(counts, axis) for axis in (1, 0))
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
    """One class of a pair: photographs taken for the other class, and recognised most surely."""

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

    return [
        side(pair.first, pair.second, pair.first_as_second),
        side(pair.second, pair.first, pair.second_as_first),
    ]


def _surest(answers: Answers, wanted: np.ndarray, most: int) -> list[str]:
    rows = np.flatnonzero(wanted)
    order = np.argsort(-answers.probability[rows], kind="stable")[:most]
    return answers.paths[rows[order]].tolist()
