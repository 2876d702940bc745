"""The table that a submission is written from: rows named by image, columns named by class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finegrain.errors import UserError


@dataclass(frozen=True)
class ClassProbabilities:
    """(N,C) float32 of N unlike image ids and C unlike class names."""

    ids: list[str]
    classes: list[str]
    probabilities: np.ndarray

    def __post_init__(self) -> None:
        expected = (len(set(self.ids)), len(set(self.classes)))
        shape = self.probabilities.shape
        if shape != expected or shape != (len(self.ids), len(self.classes)):
            raise ValueError(
                "`probabilities` must have a row for each of the unlike `ids` and a column for "
                f"each of the unlike `classes`. Received: shape {shape} for {expected}"
            )

    def with_ids(self, ids: Sequence[str]) -> "ClassProbabilities":
        """The rows of these ids, in this order; KeyError for an unknown one."""
        rows = self.probabilities[_places(self.ids, ids)]
        return ClassProbabilities(list(ids), self.classes, rows)

    def with_classes(self, classes: Sequence[str]) -> "ClassProbabilities":
        """The columns of these classes, in this order; KeyError for an unknown one."""
        columns = self.probabilities[:, _places(self.classes, classes)]
        return ClassProbabilities(self.ids, list(classes), columns)

    def most_probable(self) -> list[str]:
        """A class name for each row."""
        return [self.classes[column] for column in self.probabilities.argmax(axis=1)]


def mean_of(tables: Sequence[ClassProbabilities]) -> ClassProbabilities:
    """Average several models' answers for the same ids and classes, which stand in any order."""
    ids, classes = tables[0].ids, tables[0].classes
    aligned = [table.with_ids(ids).with_classes(classes).probabilities for table in tables]
    mean = np.mean(aligned, axis=0, dtype="float64").astype("float32")
    return ClassProbabilities(ids, classes, mean)


def check_same_classes(named_classes: dict[str, Sequence[str]]) -> None:
    """Refuse to average models, named by their run folders, that tell different classes apart."""
    (first, expected), *others = named_classes.items()
    for name, classes in others:
        lacks, adds = set(expected) - set(classes), set(classes) - set(expected)
        if lacks or adds:
            differences = [
                f"{verb} {', '.join(sorted(names))}"
                for verb, names in (("lacks", lacks), ("adds", adds))
                if names
            ]
            raise UserError(
                f"{name} and {first} cannot be averaged, their classes differ: "
                f"{name} {' and '.join(differences)}; give runs made from the same classes"
            )


def _places(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    place_of = {name: place for place, name in enumerate(names)}
    return [place_of[name] for name in wanted]
