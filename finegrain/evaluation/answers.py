"""What a run answered, photograph by photograph: rows of `predictions.csv` as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from finegrain.evaluation.metrics import log_losses
from finegrain.runs.predictions import NO_CLASS, TOP


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers for N photographs whose class is known.

    Attributes:
        classes: C names in index order; `paths` (N,) are str.
        labels, predicted: (N,) int64, the class a photograph has, and the one it was given.
        probability, true_probability: (N,) float64, 0 to 1, of the class given, and of its own.
        top, top_probability: (N,5) int64 and float64 of the most probable classes; `NO_CLASS`
            and NaN where there are fewer.
        unknown: rows left out because the run does not know one of their classes.
    """

    classes: Sequence[str]
    paths: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray
    true_probability: np.ndarray
    top: np.ndarray
    top_probability: np.ndarray
    unknown: int = 0

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def right(self) -> np.ndarray:
        """(N,) bool."""
        return self.labels == self.predicted

    @property
    def among_five(self) -> np.ndarray:
        """(N,) bool, whether the class of a photograph is one of its five most probable ones."""
        return (self.top == self.labels[:, None]).any(axis=1)

    @property
    def losses(self) -> np.ndarray:
        """(N,) float64, `log_losses` of the photographs' own classes."""
        return log_losses(self.true_probability)


def answers_of(rows: pd.DataFrame, classes: Sequence[str]) -> Answers:
    """The answers in rows from `read_sound_predictions`, in their order."""
    index_of = {name: number for number, name in enumerate(classes)}

    def indices(names: pd.Series) -> np.ndarray:
        return names.map(index_of).fillna(NO_CLASS).to_numpy(np.int64)

    labels, predicted = indices(rows["true"]), indices(rows["predicted"])
    known = (labels != NO_CLASS) & (predicted != NO_CLASS)
    rows = rows[known]
    places = [f"top_{place}" for place in range(1, TOP + 1)]
    return Answers(
        classes,
        rows["path"].to_numpy(object),
        labels[known],
        predicted[known],
        rows["probability"].to_numpy(np.float64),
        rows["true_probability"].to_numpy(np.float64),
        np.stack([indices(rows[name]) for name in places], axis=1),
        np.stack([rows[f"{name}_probability"].to_numpy(np.float64) for name in places], axis=1),
        int((~known).sum()),
    )
