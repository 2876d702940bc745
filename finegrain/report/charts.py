"""The charts of a run as SVG in the page's own colours: curves, class sizes, reliability."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from finegrain.runs.plateau import rate_drops

# About the width of a phone, so that letters keep their size there.
WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 44, 18, 22, 38
# (name, rows of its history) of each stage
Stages = list[tuple[str, list[dict[str, float]]]]
# (title, key of a softmax model, key of a multi-loss model, whether an accuracy)
CURVES = (
    ("Identification loss", "loss", "category_loss", False),
    ("Top-1 error", "accuracy", "category_accuracy", True),
    ("Verification loss", "", "same_class_loss", False),
    ("Pairs judged wrongly", "", "same_class_accuracy", True),
    ("Pair loss", "", "pairs_loss", False),
)
# More bars could not be told apart.
MOST_BARS = 80


def shape(name: str, *inside: str, **attributes: object) -> Markup:
    """An SVG element; `kind` stands for its `class`, and `_` for `-`."""
    written = Markup("").join(
        Markup(' {}="{}"').format("class" if key == "kind" else key.replace("_", "-"), value)
        for key, value in attributes.items()
    )
    if not inside:
        return Markup("<{}{}/>").format(name, written)
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, Markup("").join(inside))


@dataclass(frozen=True)
class Frame:
    """The area of a chart between its axes, each (from, to), and where a value lies in it."""

    x: tuple[float, float]
    y: tuple[float, float]

    def left(self, value: float) -> float:
        """Distance from the picture's left edge."""
        share = (value - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def top(self, value: float) -> float:
        """Distance from the upper edge of the picture."""
        share = (value - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def axes(
    frame: Frame, x_label: str, y_label: str, whole_x: bool = False, percent: str = ""
) -> Markup:
    """Grid, ticks and labels; the axes named in `percent`, "x" and "y", have shares."""
    parts = []
    for value in _ticks(frame.y):
        y, text = frame.top(value), f"{value:.0%}" if "y" in percent else f"{value:g}"
        parts.append(shape("line", kind="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y))
        parts.append(shape("text", text, x=LEFT - 6, y=y + 4, text_anchor="end"))
    for value in _ticks(frame.x, whole_x):
        x, text = frame.left(value), f"{value:.0%}" if "x" in percent else f"{value:g}"
        parts.append(shape("text", text, x=x, y=HEIGHT - BOTTOM + 16, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(shape("text", x_label, x=middle, y=HEIGHT - 4, text_anchor="middle"))
    parts.append(shape("text", y_label, x=2, y=TOP - 12))
    return Markup("").join(parts)


def _ticks(limits: tuple[float, float], whole: bool = False) -> list[float]:
    # A damaged history may hold numbers close to the largest there is; NumPy would warn of them.
    with np.errstate(over="ignore", invalid="ignore"):
        places = MaxNLocator(5, integer=whole, steps=[1, 2, 5, 10]).tick_values(*limits)
    slack = 1e-9 * (abs(limits[0]) + abs(limits[1]) + 1)
    return [float(place) for place in places if limits[0] - slack <= place <= limits[1] + slack]


def line(
    frame: Frame, points: Iterable[tuple[float, float]], kind: str, dots: bool = True
) -> Markup:
    """Points (x, y) joined by lines, with dots or without; what is not finite leaves a gap."""
    pieces: list[list[str]] = [[]]
    marks = []
    for x, y in points:
        if not np.isfinite([x, y]).all():
            pieces.append([])
            continue
        left, top = frame.left(x), frame.top(y)
        pieces[-1].append(f"{left},{top}")
        if dots:
            marks.append(shape("circle", cx=left, cy=top, r="2.5"))
    lines = [shape("polyline", points=" ".join(piece)) for piece in pieces if len(piece) > 1]
    return shape("g", "", *lines, *marks, kind=kind)


def chart(title: str, parts: Sequence[Markup]) -> Markup:
    """The finished picture, with its title for those who cannot see it."""
    box = f"0 0 {WIDTH} {HEIGHT}"
    return shape("svg", *parts, kind="chart", role="img", viewBox=box, aria_label=title)


def draw_curves(stages: Stages) -> list[tuple[str, Markup]]:
    """(title, SVG) of each loss and error that the histories hold, at least one row in all."""
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
        parts.append(shape("text", name, kind="stage", x=x + 4, y=TOP + 8))
        drops = rate_drops([row.get("learning_rate", 0) for row in rows])
        parts += [_upright("border drop", frame.left(start + number)) for number in drops]
        start += len(rows)
    return parts


def _upright(kind: str, x: float) -> Markup:
    return shape("line", kind=kind, x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM)


def draw_class_sizes(counts: Sequence[int], classes: Sequence[str]) -> Markup:
    """A bar for each of C classes, or, of many, for each stretch of classes of like size."""
    order = np.argsort(-np.asarray(counts, np.int64), kind="stable")
    sizes = np.asarray(counts, np.int64)[order]
    named = [f"{classes[number]}: {counts[number]}" for number in order]
    frame = Frame((0, len(sizes)), (0, max(1, 1.05 * sizes.max())))
    bars = []
    for stretch in np.array_split(np.arange(len(sizes)), min(MOST_BARS, len(sizes))):
        first, last = int(stretch[0]), int(stretch[-1])
        left, right = frame.left(first), frame.left(last + 1)
        width = round(right - left - min(2.0, 0.2 * (right - left)), 2)
        text = " to ".join(named[place] for place in sorted({first, last}))
        bars.append(_bar(frame, left, width, float(sizes[stretch].mean()), text))
    return chart(
        f"Training photographs a class: {sizes[-1]} to {sizes[0]}, median "
        f"{np.median(sizes):g}, classes sorted by size",
        [axes(frame, "classes, largest first", "", whole_x=True), *bars],
    )


def _bar(
    frame: Frame, x: float, width: float, value: float, text: str, **attributes: object
) -> Markup:
    top = frame.top(value)
    size = {"x": x, "y": top, "width": width, "height": round(frame.top(0) - top, 1)}
    return shape("rect", shape("title", text), kind="bar", **size, **attributes)


def draw_reliability(bins: list[dict[str, Any]]) -> Markup | None:
    """The reliability diagram: a bar a bin, as dark as its share; None if all bins are empty."""
    filled = [row for row in bins if row["count"]]
    if not filled:
        return None
    frame, most = Frame((0, 1), (0, 1)), max(row["count"] for row in filled)
    parts = [axes(frame, "confidence of the answer", "right answers", percent="xy")]
    for row in filled:
        left, right = frame.left(row["low"]), frame.left(row["high"])
        text = f"{row['count']} photographs: confidence {row['confidence']:.1%}, "
        text += f"right {row['accuracy']:.1%}"
        dark = round(0.25 + 0.75 * float(np.sqrt(row["count"] / most)), 2)
        width = round(right - left - 2, 1)
        parts.append(_bar(frame, left + 1, width, row["accuracy"], text, fill_opacity=dark))
    parts.append(line(frame, [(0, 0), (1, 1)], "ideal", dots=False))
    course = [(row["confidence"], row["accuracy"]) for row in filled]
    parts.append(line(frame, course, "validation"))
    images = sum(row["count"] for row in filled)
    return chart(f"Reliability diagram of {images} photographs", parts)
