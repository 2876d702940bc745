"""The confusion matrix: each cell where classes are few, one picture where they are many."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image
from scipy import sparse

from finegrain.report.charts import shape
from finegrain.report.photographs import Picture, data_address

# Cells are as wide as fits a page, within these limits.
CELLS, PAGE = (18, 34), 820
LETTERS, LETTER_WIDTH = 22, 7
# Cells hold their number up to so many classes.
MOST_NUMBERED = 40
OVERVIEW_SIDE = 500
BLUE, ORANGE = (47, 111, 178), (217, 95, 13)


def draw_matrix(counts: sparse.csr_array, order: np.ndarray, classes: Sequence[str]) -> Markup:
    """The block of the classes in `order`: rows as they are, columns as they were taken for."""
    names = [_shortened(classes[number]) for number in order]
    label = LETTER_WIDTH * max(map(len, names)) + 14
    cell = int(np.clip((PAGE - label) / len(order), *CELLS))
    head = int(0.9 * label) + 8
    side = len(order) * cell
    sizes = counts.sum(axis=1)[order]
    parts = [shape("rect", kind="frame", x=label, y=head, width=side, height=side)]
    # The names at the rows, and aslant over the columns.
    for place, name in enumerate(names):
        middle = (place + 0.5) * cell
        aslant = f"translate({label + middle + 3} {head - 6}) rotate(-60)"
        parts.append(shape("text", name, x=label - 6, y=head + middle + 4, text_anchor="end"))
        parts.append(shape("text", name, transform=aslant))
    block = counts[order][:, order].tocoo()
    for row, column, count in zip(block.row, block.col, block.data, strict=True):
        taken = f"{classes[order[row]]}: {count} of {sizes[row]} taken for {classes[order[column]]}"
        left, top = label + column * cell, head + row * cell
        # The square root, or a single mistake of many could not be seen.
        strength = round(0.12 + 0.88 * float(np.sqrt(count / sizes[row])), 2)
        kind = "right" if row == column else "wrong"
        box = {"x": left + 0.5, "y": top + 0.5, "width": cell - 1, "height": cell - 1}
        parts.append(shape("rect", shape("title", taken), kind=kind, **box, fill_opacity=strength))
        if len(order) <= MOST_NUMBERED:
            weight = "count strong" if strength > 0.6 else "count"
            centre = {"x": left + cell / 2, "y": top + cell / 2 + 4}
            parts.append(shape("text", str(count), kind=weight, **centre, text_anchor="middle"))
    # The last slanting name leans out to the right.
    width, height = side + label + label // 2, side + head + 2
    size = {"width": width, "height": height, "viewBox": f"0 0 {width} {height}"}
    title = f"Confusion matrix of {len(order)} classes"
    return shape("svg", *parts, kind="matrix", role="img", **size, aria_label=title)


def draw_overview(counts: sparse.csr_array, order: np.ndarray) -> Picture:
    """All classes in one picture; a point that stands for several cells shows the strongest."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    side = min(OVERVIEW_SIDE, len(order))
    cells = counts.tocoo()
    share = np.sqrt(cells.data / counts.sum(axis=1)[cells.row])
    row, column = (place[side_of] * side // len(order) for side_of in (cells.row, cells.col))
    wrong, right = np.zeros((side, side)), np.zeros((side, side))
    off = cells.row != cells.col
    np.maximum.at(wrong, (row[off], column[off]), share[off])
    np.maximum.at(right, (row[~off], column[~off]), share[~off])
    strength = np.where(wrong > 0, np.maximum(wrong, 0.25), 0.7 * right)
    pixels = np.zeros((side, side, 4), np.uint8)
    pixels[..., :3] = np.where((wrong > 0)[..., None], ORANGE, BLUE)
    pixels[..., 3] = np.round(255 * strength)
    alt = f"Confusions of all {len(order)} classes; mistakes are orange points off the diagonal"
    return Picture(alt, data_address(Image.fromarray(pixels), "png"))


def _shortened(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
