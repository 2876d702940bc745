"""How good are the answers to "which class?": measures of a table of predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score

from finegrain.evaluation.bootstrap import PERCENTILES, Statistic, counted, intervals, mean_of
from finegrain.evaluation.calibration_error import (
    calibration_statistic,
    expected_calibration_error,
)
from finegrain.evaluation.log_loss import SMALLEST
from finegrain.runs.predictions import TOP

CLASS_MEASURES = (
    "top1_accuracy",
    "top5_accuracy",
    "macro_f1",
    "log_loss",
    "expected_calibration_error",
)


def class_measures(rows: pd.DataFrame, classes: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """The measures of a model's answers, with 95 % bootstrap intervals over images.

    - `top1_accuracy`, `top5_accuracy`: the true class is the most probable one, or one of five.
    - `macro_f1`: mean over the classes that an image is of or was taken for.
    - `log_loss`: mean of -log of the true class's probability, those below 1e-7 as that.
    - `expected_calibration_error`: see there.

    Args:
        rows: of `read_predictions`, at least one, all their classes known.
        classes: class names in index order.
        seed: of the bootstrap.

    Returns:
        Name -> `value`, `low`, `high`.
    """
    index = {name: number for number, name in enumerate(classes)}
    true, predicted = (rows[name].map(index).to_numpy(np.int64) for name in ("true", "predicted"))
    correct, among_five = true == predicted, rows["true_rank"].to_numpy() <= TOP
    confidences = rows["probability"].to_numpy("float64")
    losses = -np.log(np.clip(rows["true_probability"].to_numpy("float64"), SMALLEST, 1.0))
    values = {
        "top1_accuracy": accuracy_score(true, predicted),
        "top5_accuracy": among_five.mean(),
        "macro_f1": f1_score(true, predicted, average="macro", zero_division=0),
        "log_loss": losses.mean(),
        "expected_calibration_error": expected_calibration_error(confidences, correct),
    }
    statistics = {
        "top1_accuracy": mean_of(correct),
        "top5_accuracy": mean_of(among_five),
        "macro_f1": f1_statistic(true, predicted),
        "log_loss": mean_of(losses),
        "expected_calibration_error": calibration_statistic(confidences, correct),
    }
    return with_intervals(values, intervals(statistics, len(rows), seed))


def with_intervals(values: dict[str, float], bounds: dict[str, Any]) -> dict[str, Any]:
    """Measures and their intervals in the form of evaluation.json."""
    found = {}
    for name, value in values.items():
        low, high = bounds[name] or (None, None)
        found[name] = {"value": float(value), "low": low, "high": high}
    return found


def f1_statistic(true: np.ndarray, predicted: np.ndarray) -> Statistic:
    """Macro-F1 for bootstrap draws, over the classes that occur in a draw."""
    present, both = np.unique(np.concatenate([true, predicted]), return_inverse=True)
    count = len(present)
    true, predicted = both[: len(true)], both[len(true) :]
    right = np.where(true == predicted, true, count)

    def macro_f1(draws: np.ndarray) -> np.ndarray:
        hits = counted(draws, right, count + 1)[:, :count]
        images = counted(draws, true, count) + counted(draws, predicted, count)
        scores = np.divide(2 * hits, images, out=np.zeros(images.shape), where=images > 0)
        return scores.sum(axis=1) / (images > 0).sum(axis=1)

    return macro_f1


def per_class(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What became of the images of each class, and of the answers that named it.

    Returns:
        Class -> `images`; `accuracy` among them (recall) with `low` and `high`; `predicted`,
        images taken for the class; `precision` among these; `f1`. None where nothing is there to
        take the share of. The interval is the bootstrap's over the class's images, whose exact
        percentiles are those of a binomial distribution.
    """
    # Takes a second to load, which every start of a training script would pay.
    from scipy.stats import binom

    index = {name: number for number, name in enumerate(classes)}
    true, predicted = (rows[name].map(index).to_numpy(np.int64) for name in ("true", "predicted"))
    count = len(classes)
    images, answers = (np.bincount(some, minlength=count) for some in (true, predicted))
    hits = np.bincount(true[true == predicted], minlength=count)
    accuracy = hits / np.maximum(images, 1)
    low, high = (
        binom.ppf(percentile / 100, np.maximum(images, 1), accuracy) / np.maximum(images, 1)
        for percentile in PERCENTILES
    )
    return {
        name: {
            "images": int(images[place]),
            "accuracy": _share(hits[place], images[place]),
            "low": float(low[place]) if images[place] else None,
            "high": float(high[place]) if images[place] else None,
            "predicted": int(answers[place]),
            "precision": _share(hits[place], answers[place]),
            "f1": _share(2 * hits[place], images[place] + answers[place]),
        }
        for place, name in enumerate(classes)
    }


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
