"""What a run answered, photograph by photograph: `predictions.csv` as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from finegrain.errors import UserError

PREDICTIONS = "predictions.csv"
NEEDED = ("path", "split", "true", "predicted", "probability", "true_probability")
MOST_PROBABLE = 5
NO_CLASS = -1


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers for the photographs of one split.

    Attributes:
        paths: (N,) objects of type str, as in the table.
        labels: (N,) int64, the class each photograph has.
        predicted: (N,) int64, the class it was given.
        probability: (N,) float64 of the class given, 0 to 1.
        true_probability: (N,) float64 of the class it has.
        top: (N,5) int64, the most probable classes; `NO_CLASS` where there are fewer.
        top_probability: (N,5) float64; NaN where there are fewer.
        left_out: reason -> how many rows of the split cannot be used for it.
    """

    paths: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray
    true_probability: np.ndarray
    top: np.ndarray
    top_probability: np.ndarray
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def right(self) -> np.ndarray:
        """(N,) bool."""
        return self.labels == self.predicted


def read_predictions(file: Path) -> pd.DataFrame:
    """The table of a run's answers, every value as text.

    Raises:
        UserError: the file is missing, no table, or lacks a column.
    """
    try:
        # A class may well be called "NA".
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"there is no {file}; make it with tools/evaluate.py") from error
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file} is no table ({reason}); make it again") from error
    missing = [column for column in NEEDED if column not in table]
    if missing:
        raise UserError(f"{file} has no column {missing[0]}; make it again")
    return table


def answers_of(table: pd.DataFrame, split: str, classes: Sequence[str]) -> Answers:
    """The usable answers of one split, in the order of the table.

    Rows whose probabilities are no numbers from 0 to 1, or whose classes the run does not know,
    are left out and counted; of several rows for one photograph the last one counts.

    Args:
        table: from `read_predictions`.
        split: `train`, `valid` or `test`.
        classes: class names in index order.
    """
    rows = table[table["split"] == split]
    count = len(rows)
    rows = rows.drop_duplicates("path", keep="last")
    left_out = {"a second answer for the same photograph": count - len(rows)}
    index_of = {name: number for number, name in enumerate(classes)}
    labels, predicted = (_indices(rows[column], index_of) for column in ("true", "predicted"))
    known = (labels != NO_CLASS) & (predicted != NO_CLASS)
    left_out["a class that the run does not know"] = int((~known).sum())
    numbers = np.stack([_numbers(rows[name]) for name in ("probability", "true_probability")])
    # Float32 softmax may end a hair above 1.
    usable = ((numbers >= 0) & (numbers <= 1 + 1e-5)).all(axis=0)
    left_out["a probability that is no number from 0 to 1"] = int((known & ~usable).sum())
    kept = known & usable
    top, top_probability = _most_probable(rows[kept], index_of)
    return Answers(
        rows["path"].to_numpy(object)[kept], labels[kept], predicted[kept],
        numbers[0, kept].clip(0, 1), numbers[1, kept].clip(0, 1), top, top_probability,
        {reason: number for reason, number in left_out.items() if number},
    )  # fmt: skip


def _most_probable(rows: pd.DataFrame, index_of: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    classes = np.full((len(rows), MOST_PROBABLE), NO_CLASS)
    values = np.full((len(rows), MOST_PROBABLE), np.nan)
    for rank in range(MOST_PROBABLE):
        column = f"top_{rank + 1}"
        if column in rows and f"{column}_probability" in rows:
            classes[:, rank] = _indices(rows[column], index_of)
            values[:, rank] = _numbers(rows[f"{column}_probability"])
    unusable = (classes == NO_CLASS) | ~np.isfinite(values)
    return np.where(unusable, NO_CLASS, classes), np.where(unusable, np.nan, values)


def _indices(names: pd.Series, index_of: dict[str, int]) -> np.ndarray:
    return np.array([index_of.get(name, NO_CLASS) for name in names], np.int64)


def _numbers(column: pd.Series) -> np.ndarray:
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
