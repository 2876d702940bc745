"""The table of classes: how many photographs each has and how it fared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finegrain.report.confusions import ClassCounts

MOST_ROWS = 1_000
MOST_NAMED = 12


@dataclass(frozen=True)
class ClassRow:
    """One class.

    Attributes:
        name: of the class.
        training: its training photographs; None where the run does not tell.
        images: its photographs judged.
        accuracy: share of these that were recognised, None without any.
        answered: photographs given this class.
        precision: share of these that are of it, None without any.
        taken_for: the class it is most often taken for; empty if none.
    """

    name: str
    training: int | None
    images: int
    accuracy: float | None
    answered: int
    precision: float | None
    taken_for: str


def class_rows(
    counts: ClassCounts, classes: Sequence[str], training: Sequence[int]
) -> list[ClassRow]:
    """Rows of at most `MOST_ROWS` classes, the worst recognised first.

    Args:
        counts: how the classes fared.
        classes: names in index order.
        training: photographs of each class; empty where unknown.
    """
    accuracy = np.where(counts.images > 0, counts.right / np.maximum(counts.images, 1), np.inf)
    order = np.lexsort((-counts.images, accuracy))[:MOST_ROWS]
    return [
        ClassRow(
            classes[number],
            int(training[number]) if len(training) == len(classes) else None,
            int(counts.images[number]),
            _share(counts.right[number], counts.images[number]),
            int(counts.answered[number]),
            _share(counts.right[number], counts.answered[number]),
            classes[counts.taken_for[number]] if counts.taken_for[number] >= 0 else "",
        )
        for number in order.tolist()
    ]


def class_notes(counts: ClassCounts, classes: Sequence[str]) -> list[str]:
    """Sentences on classes that are never answered, or have nothing to be judged by."""
    never = np.flatnonzero((counts.answered == 0) & (counts.images > 0))
    empty = np.flatnonzero(counts.images == 0)
    return [
        f"{what}: {_named(found, classes)}."
        for what, found in (
            (f"{len(never)} classes with photographs are never answered", never),
            (f"{len(empty)} classes have no photograph to be judged by", empty),
        )
        if len(found)
    ]


def _named(found: np.ndarray, classes: Sequence[str]) -> str:
    names = ", ".join(classes[number] for number in found[:MOST_NAMED])
    return names + (f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else "")


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
