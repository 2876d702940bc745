"""A photograph as people and models see it, coloured by its heat, and beside the answers."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from finegrain.decode import open_rgb, read_pixels
from finegrain.frame import Frame
from finegrain.whole_files import write_encoded

SHOWN_SIDE = 800
# Magenta: seldom the hue of fur, feather or leaf, and told from grey without seeing red or green.
HEAT = (230, 0, 230)
STRENGTH = 0.6
LONGEST_NAME = 40
INK, PALE = "#33691e", "#aed581"


@dataclass(frozen=True)
class Photograph:
    """A file decoded to (h, w, 3) uint8, RGB, for people and as in training for the model."""

    path: Path
    shown: np.ndarray
    pixels: np.ndarray


def read_photograph(path: Path, frame: Frame) -> Photograph:
    """Decode a file for people and for a model, what the frame holds of it; UnreadableImage."""
    image = open_rgb(path, at_least=(SHOWN_SIDE, SHOWN_SIDE))
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return Photograph(path, np.asarray(frame.shown(image)), read_pixels(path, frame))


def fitted(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture squeezed to (height, width) pixels."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"`pixels` must be (H,W,3) uint8. Received: {pixels.dtype} {pixels.shape}")
    if pixels.shape[:2] == tuple(size):
        return pixels
    height, width = size
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)


def lay_over(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Tint a picture, (H, W, 3) uint8, by its heat, (h, w) of 0 to 1; cold is left alone.

    One hue, the stronger the hotter: the picture is seen through it.
    """
    height, width = pixels.shape[:2]
    warmth = Image.fromarray(heat.astype(np.float32))
    spread = np.asarray(warmth.resize((width, height), Image.Resampling.BICUBIC)).clip(0, 1)
    share = STRENGTH * spread[..., None]
    return np.rint(pixels * (1 - share) + np.array(HEAT) * share).astype(np.uint8)


def class_figure(
    photo: np.ndarray, overlay: np.ndarray, asked: str, answers: Sequence[tuple[str, float]]
) -> Figure:
    """A photograph, what speaks for the class asked about, and answers, the likeliest first."""
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
        write_encoded(path, partial(figure.savefig, dpi=110, format="png"))


def percentage(probability: float) -> str:
    """A probability as people read it; never rounded to certainty."""
    if 0.9995 <= probability < 1:
        return "> 99.9 %"
    if 0 < probability < 0.0005:
        return "< 0.1 %"
    return f"{100 * probability:.1f} %"


def shortened(name: str) -> str:
    """To fit beside a bar."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _show(axes: Axes, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture)
    axes.set_axis_off()
    # A dollar sign in a class name opens no formula.
    axes.set_title(title, fontsize=10, parse_math=False)
