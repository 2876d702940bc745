"""Answers as pictures: the photograph, its heat, and the probabilities."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from finegrain.whole_files import written_whole

LONGEST_NAME = 40
INK = "#33691e"
PALE = "#aed581"


def class_figure(
    photo: np.ndarray, overlay: np.ndarray, asked: str, answers: Sequence[tuple[str, float]]
) -> Figure:
    """A photograph, the parts that speak for the class asked about, and the likeliest classes.

    Photograph and overlay are (h, w, 3) uint8, RGB; answers are (name, probability), the likeliest
    first.
    """
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 0.8))
    _show(left, photo, "")
    _show(middle, overlay, f"what speaks for {shortened(asked)}")
    names = [name for name, _ in answers]
    places = range(len(answers))
    colours = [INK if name == asked else PALE for name in names]
    right.barh(places, [probability for _, probability in answers], color=colours)
    right.set_yticks(places, [shortened(name) for name in names], parse_math=False)
    right.invert_yaxis()
    right.set_xlim(0, 1.18)
    right.set_xticks([])
    right.spines[["top", "right", "bottom"]].set_visible(False)
    for place, (_, probability) in enumerate(answers):
        right.text(probability + 0.02, place, percentage(probability), va="center")
    return figure


def pair_figure(
    photos: Sequence[np.ndarray],
    same: Sequence[np.ndarray],
    apart: Sequence[np.ndarray],
    probability: float,
) -> Figure:
    """Two photographs as they are, and coloured by what speaks for the same class, or another."""
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    columns = (
        (photos, f"the same class: {percentage(probability)}"),
        (same, "what speaks for the same"),
        (apart, "what speaks for another"),
    )
    axes = figure.subplots(2, 3)
    for column, (pictures, title) in enumerate(columns):
        for row, picture in enumerate(pictures):
            _show(axes[row, column], picture, title if row == 0 else "")
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; UserError where the file cannot be written."""
    with warnings.catch_warnings():
        # Names in scripts that Matplotlib's font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        with written_whole(path) as file:
            figure.savefig(file, dpi=110, format="png")


def percentage(probability: float) -> str:
    """A probability as people read it; never rounded to certainty."""
    if 0.9995 <= probability < 1:
        return "> 99.9 %"
    if 0 < probability < 0.0005:
        return "< 0.1 %"
    return f"{100 * probability:.1f} %"


def shortened(name: str) -> str:
    """A name that fits beside a bar."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _show(axes: Axes, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture)
    axes.set_axis_off()
    # A dollar sign in a class name opens no formula.
    axes.set_title(title, fontsize=10, parse_math=False)
