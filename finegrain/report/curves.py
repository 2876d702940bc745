"""The course of a training, drawn with the borders of its stages."""

import numpy as np
from markupsafe import Markup

from finegrain.report.drawing import BOTTOM, HEIGHT, TOP, Frame, axes, chart, line

Stages = list[tuple[str, list[dict[str, float]]]]
# (title, key of a softmax model, key of a multi-loss model, whether an accuracy)
CURVES = (
    ("Identification loss", "loss", "category_loss", False),
    ("Top-1 error", "accuracy", "category_accuracy", True),
    ("Verification loss", "", "same_class_loss", False),
    ("Pairs judged wrongly", "", "same_class_accuracy", True),
)


def draw_curves(stages: Stages) -> list[tuple[str, Markup]]:
    """Charts of what the histories hold.

    Args:
        stages: (name, rows of its history) of each stage, at least one row in all.

    Returns:
        (title, SVG) of each loss and error; those that no row has are left out.
    """
    rows = [row for _, stage in stages for row in stage]
    charts = []
    for title, single, multi, is_accuracy in CURVES:
        # A multi-loss history has a `loss` too, which is the sum of both.
        key = multi if any(multi in row for row in rows) else single
        drawn = _draw(title, key, is_accuracy, stages, rows) if key else None
        if drawn is not None:
            charts.append((title, drawn))
    return charts


def _draw(
    title: str, key: str, is_accuracy: bool, stages: Stages, rows: list[dict[str, float]]
) -> Markup | None:
    series = {
        kind: [1 - row[name] if is_accuracy else row[name] for row in rows if name in row]
        for kind, name in (("training", key), ("validation", f"val_{key}"))
    }
    whole = {kind: values for kind, values in series.items() if len(values) == len(rows)}
    finite = [value for values in whole.values() for value in values if np.isfinite(value)]
    if not finite:
        return None
    # Room above the curves for the stages' names.
    frame = Frame((0.5, len(rows) + 0.5), (0, 1.18 * max(finite) or 1))
    parts = [axes(frame, "epoch", "", whole_x=True, percent="y" if is_accuracy else "")]
    parts += _borders(frame, stages)
    for kind, values in whole.items():
        parts.append(line(frame, enumerate(values, start=1), kind))
    best = min(whole["validation" if "validation" in whole else "training"])
    return chart(f"{title} over {len(rows)} epochs; lowest {best:.3g}", parts)


def _borders(frame: Frame, stages: Stages) -> list[Markup]:
    parts, start = [], 0.5
    for name, rows in stages:
        x = frame.left(start)
        if start > 0.5:
            parts.append(_upright("border", x))
        parts.append(
            Markup('<text class="stage" x="{}" y="{}">{}</text>').format(x + 4, TOP + 8, name)
        )
        rates = [row.get("learning_rate", 0) for row in rows]
        for number in range(1, len(rates)):
            if rates[number] < rates[number - 1]:
                parts.append(_upright("border drop", frame.left(start + number)))
        start += len(rows)
    return parts


def _upright(kind: str, x: float) -> Markup:
    return Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        kind, x, x, TOP, HEIGHT - BOTTOM
    )
