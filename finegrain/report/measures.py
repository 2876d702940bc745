"""The measures of evaluation.json as rows of a table."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from finegrain.report.drawing import Frame, axes, chart, line

NAMES = {
    "top1_accuracy": "Top-1 accuracy",
    "top5_accuracy": "Top-5 accuracy",
    "macro_f1": "Macro-F1",
    "log_loss": "Log loss",
    "expected_calibration_error": "Expected calibration error",
    "roc_auc": "ROC AUC",
    "equal_error_rate": "Equal error rate",
    "mean_average_precision": "Mean average precision",
    "map": "Mean average precision",
}
# What a reader takes as a share; the others are plain numbers.
PLAIN = ("log_loss",)


@dataclass(frozen=True)
class Measure:
    """One number with its 95 % interval, as text.

    Attributes:
        name: in words.
        value: the number.
        interval: `low to high`, empty where there is none.
    """

    name: str
    value: str
    interval: str


def measures_of(evaluation: dict[str, Any]) -> list[Measure]:
    """All measures of one split, wherever in its part of evaluation.json they stand."""
    return [
        Measure(
            ": ".join([*where, NAMES.get(key, key.replace("_", " "))]),
            _text(key, found["value"]),
            ""
            if found.get("low") is None or found.get("high") is None
            else f"{_text(key, found['low'])} to {_text(key, found['high'])}",
        )
        for where, key, found in _walk(evaluation, [])
    ]


def _walk(part: dict[str, Any], where: list[str]):
    for key, value in part.items():
        if not isinstance(value, dict) or key == "per_class":
            continue
        if "value" in value:
            yield where, key, value
        else:
            outer = [] if key in ("measures", "class", "classes") else [key.replace("_", " ")]
            yield from _walk(value, where + outer)


def _text(key: str, value: Any) -> str:
    if not isinstance(value, int | float) or not np.isfinite(value):
        return "–"
    return f"{value:.3f}" if key in PLAIN else f"{100 * value:.1f} %"


def draw_reliability(bins: list[dict[str, Any]]) -> Markup | None:
    """The reliability diagram: a bar a bin, as dark as its share of photographs.

    Args:
        bins: rows of `low`, `high`, `count`, `confidence`, `accuracy`.

    Returns:
        SVG, None where all bins are empty.
    """
    filled = [row for row in bins if row["count"]]
    if not filled:
        return None
    frame, most = Frame((0, 1), (0, 1)), max(row["count"] for row in filled)
    parts = [axes(frame, "confidence of the answer", "right answers", percent="xy")]
    for row in filled:
        left, right = frame.left(row["low"]), frame.left(row["high"])
        top = frame.top(row["accuracy"])
        parts.append(
            Markup(
                '<rect class="bar" x="{}" y="{}" width="{}" height="{}" fill-opacity="{}">'
                "<title>{} photographs: confidence {}, right {}</title></rect>"
            ).format(
                left + 1, top, round(right - left - 2, 1), round(frame.top(0) - top, 1),
                round(0.25 + 0.75 * float(np.sqrt(row["count"] / most)), 2), row["count"],
                f"{row['confidence']:.1%}", f"{row['accuracy']:.1%}",
            )
        )  # fmt: skip
    parts.append(line(frame, [(0, 0), (1, 1)], "ideal", dots=False))
    parts.append(
        line(frame, [(row["confidence"], row["accuracy"]) for row in filled], "validation")
    )
    images = sum(row["count"] for row in filled)
    return chart(f"Reliability diagram of {images} photographs", parts)
