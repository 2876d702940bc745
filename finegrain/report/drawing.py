"""Charts as SVG inside the page, in the page's own colours and so in dark mode too."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

# About the width of a phone, so that letters keep their size there.
WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 44, 18, 22, 38


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
        """Distance from the left edge of the picture."""
        share = (value - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def top(self, value: float) -> float:
        """Distance from the upper edge of the picture."""
        share = (value - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def axes(
    frame: Frame, x_label: str, y_label: str, whole_x: bool = False, percent: str = ""
) -> Markup:
    """Grid, ticks at whole numbers only or anywhere, and labels below and above.

    The axes named in `percent`, "x" and "y", have shares.
    """
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
    """Round numbers inside the limits, about five."""
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
