"""The charts of a training: its course, with the borders of its stages, and its class sizes."""

from collections.abc import Sequence

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
# More bars could not be told apart.
MOST_BARS = 80


def draw_curves(stages: Stages) -> list[tuple[str, Markup]]:
    """(title, SVG) of each loss and error that the histories hold.

    Args:
        stages: (name, rows of its history) of each stage, at least one row in all.
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
    parts += [line(frame, enumerate(values, start=1), kind) for kind, values in whole.items()]
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


def draw_class_sizes(counts: Sequence[int], classes: Sequence[str]) -> Markup:
    """A bar for each class, or, of many classes, for each stretch of classes of like size.

    Args:
        counts: (C,) training photographs of each class, at least one class.
        classes: (C,) names.
    """
    order = np.argsort(-np.asarray(counts, np.int64), kind="stable")
    sizes = np.asarray(counts, np.int64)[order]
    named = [f"{classes[number]}: {counts[number]}" for number in order]
    frame = Frame((0, len(sizes)), (0, max(1, 1.05 * sizes.max())))
    box = Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}">{}</rect>')
    bars = []
    for stretch in np.array_split(np.arange(len(sizes)), min(MOST_BARS, len(sizes))):
        first, last = int(stretch[0]), int(stretch[-1])
        left, right = frame.left(first), frame.left(last + 1)
        top = frame.top(float(sizes[stretch].mean()))
        width = round(right - left - min(2.0, 0.2 * (right - left)), 2)
        text = " to ".join(named[place] for place in sorted({first, last}))
        title = Markup("<title>{}</title>").format(text)
        bars.append(box.format(left, top, width, round(frame.top(0) - top, 1), title))
    return chart(
        f"Training photographs a class: {sizes[-1]} to {sizes[0]}, median "
        f"{np.median(sizes):g}, classes sorted by size",
        [axes(frame, "classes, largest first", "", whole_x=True), *bars],
    )
