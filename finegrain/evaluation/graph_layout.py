"""Where the boxes of a graph go: in ranks from top to bottom, arrows without crossing boxes.

The method of Sugiyama, Tagawa and Toda 1981, "Methods for visual understanding of hierarchical
system structures", without its niceties: a neural network is nearly a chain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Arrow = tuple[int, int]
Place = tuple[float, int]

SWEEPS = 100
# Room that an arrow takes between boxes, in widths of a box.
ARROW_ROOM = 0.35


@dataclass(frozen=True)
class Layout:
    """Places in a plane: columns to the right, in widths of a box, and ranks downwards.

    Attributes:
        boxes: place of each box's middle.
        paths: for each arrow the places it passes on its way, its two boxes included.
    """

    boxes: list[Place]
    paths: list[list[Place]]


def lay_out(count: int, arrows: Sequence[Arrow]) -> Layout:
    """Place the boxes of a graph without cycles.

    Args:
        count: number of boxes.
        arrows: (from, to) pairs of box numbers, none of them twice.
    """
    ranks = _ranks(count, arrows)
    # An arrow over several ranks gets a knot in each one between, which keeps boxes off its way.
    routes, short = [], []
    for start, end in arrows:
        knots = list(range(len(ranks), len(ranks) + ranks[end] - ranks[start] - 1))
        ranks += [ranks[start] + 1 + step for step in range(len(knots))]
        routes.append([start, *knots, end])
        short += zip(routes[-1], routes[-1][1:], strict=False)
    columns = _columns(count, ranks, short)
    places = [(columns[number], ranks[number]) for number in range(len(ranks))]
    return Layout(places[:count], [[places[number] for number in route] for route in routes])


def _ranks(count: int, arrows: Sequence[Arrow]) -> list[int]:
    """Each box as far down as its longest way from the top; inputs just above where they go."""
    before = {number: [a for a, b in arrows if b == number] for number in range(count)}
    after = {number: [b for a, b in arrows if a == number] for number in range(count)}
    ranks: dict[int, int] = {}
    waiting = list(range(count))
    while waiting:
        ready = [number for number in waiting if all(a in ranks for a in before[number])]
        if not ready:
            raise ValueError(f"`arrows` make a cycle. Received: arrows={list(arrows)}")
        for number in ready:
            ranks[number] = max((ranks[a] + 1 for a in before[number]), default=0)
        waiting = [number for number in waiting if number not in ranks]
    for number in range(count):
        if not before[number] and after[number]:
            ranks[number] = min(ranks[b] for b in after[number]) - 1
    return [ranks[number] for number in range(count)]


def _columns(count: int, ranks: list[int], arrows: Sequence[Arrow]) -> list[float]:
    """Columns that keep neighbours in a rank apart and arrows nearly straight."""
    near: dict[int, list[int]] = {number: [] for number in range(len(ranks))}
    for a, b in arrows:
        near[a].append(b)
        near[b].append(a)
    rows = [[n for n in near if ranks[n] == rank] for rank in range(max(ranks, default=-1) + 1)]
    widths = [1.0 if number < count else ARROW_ROOM for number in range(len(ranks))]
    columns = [0.0] * len(ranks)
    for row in rows:
        _spread(row, [float(number) for number in range(len(row))], widths, columns)
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            # Towards neighbours on both sides, so that it settles.
            wanted = {n: np.mean([columns[m] for m in near[n]] or [columns[n]]) for n in row}
            if sweep < SWEEPS // 2:
                row.sort(key=lambda n: wanted[n])  # noqa: B023
            _spread(row, [wanted[n] for n in row], widths, columns)
    return columns


def _spread(row: list[int], wanted: list[float], widths: list[float], columns: list[float]):
    """Nearest columns to those wanted that leave each box its width: an isotonic regression."""
    # scikit-learn takes a second to import.
    from sklearn.isotonic import isotonic_regression

    if not row:
        return
    left = [(widths[a] + widths[b]) / 2 for a, b in zip(row, row[1:], strict=False)]
    offsets = np.concatenate([[0.0], np.cumsum(left)])
    for number, column in zip(row, isotonic_regression(np.array(wanted) - offsets) + offsets):
        columns[number] = float(column)
