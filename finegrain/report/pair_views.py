"""The most confused classes, with photographs of both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finegrain.report.answers import Answers
from finegrain.report.confusions import ConfusedPair
from finegrain.report.photographs import Photographs, Picture

PHOTOGRAPHS_A_SIDE = 4


@dataclass(frozen=True)
class Side:
    """One class of a pair.

    Attributes:
        name: of the class.
        mistaken: its photographs that were taken for the other class.
        recognised: its photographs that were recognised most surely.
        mistakes: how many were mistaken in all.
    """

    name: str
    mistaken: list[Picture]
    recognised: list[Picture]
    mistakes: int


@dataclass(frozen=True)
class PairView:
    """A pair as it is shown."""

    sides: tuple[Side, Side]
    mistakes: int
    images: int


def view_pair(
    pair: ConfusedPair, answers: Answers, classes: Sequence[str], photographs: Photographs
) -> PairView:
    """Choose the photographs of a pair: up to two mistaken ones a side, then typical ones."""
    return PairView(
        (
            _side(pair.one, pair.other, pair.one_as_other, answers, classes, photographs),
            _side(pair.other, pair.one, pair.other_as_one, answers, classes, photographs),
        ),
        pair.mistakes,
        pair.images,
    )


def _side(
    label: int,
    other: int,
    mistakes: int,
    answers: Answers,
    classes: Sequence[str],
    photographs: Photographs,
) -> Side:
    own = answers.labels == label
    mistaken = _surest(answers, own & (answers.predicted == other), PHOTOGRAPHS_A_SIDE // 2)
    typical = _surest(answers, own & answers.right, PHOTOGRAPHS_A_SIDE - len(mistaken))
    name, taken_for = classes[label], classes[other]
    return Side(
        name,
        [photographs.picture(path, f"{name} taken for {taken_for}") for path in mistaken],
        [photographs.picture(path, f"{name}, recognised") for path in typical],
        mistakes,
    )


def _surest(answers: Answers, wanted: np.ndarray, most: int) -> list[str]:
    rows = np.flatnonzero(wanted)
    order = np.argsort(-answers.probability[rows], kind="stable")[:most]
    return answers.paths[rows[order]].tolist()
