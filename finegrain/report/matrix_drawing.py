"""The confusion matrix: each cell where classes are few, one picture where they are many."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from scipy import sparse

from finegrain.report.photographs import Picture, png_address

CELL = 18
LABEL = 150
LETTERS = 22
# Cells hold their number up to so many classes.
MOST_NUMBERED = 40
OVERVIEW_SIDE = 500
BLUE, ORANGE = (47, 111, 178), (217, 95, 13)


def draw_matrix(counts: sparse.csr_array, order: np.ndarray, classes: Sequence[str]) -> Markup:
    """The block of some classes, a cell as strong as its share of the row.

    Args:
        counts: (C,C) confusions.
        order: the K classes of the block, in the order to stand in.
        classes: C names.

    Returns:
        SVG; rows are what photographs are, columns what they were taken for.
    """
    sizes = np.asarray(counts.sum(axis=1)).reshape(-1)
    block = counts[order][:, order].tocoo()
    parts = []
    for place, number in enumerate(order.tolist()):
        middle = LABEL + (place + 0.5) * CELL
        parts.append(
            Markup(
                '<text x="{}" y="{}" text-anchor="end">{}</text>'
                '<text text-anchor="start" transform="translate({} {}) rotate(-60)">{}</text>'
            ).format(
                LABEL - 6, middle + 4, shortened(classes[number]),
                middle + 3, LABEL - 6, shortened(classes[number]),
            )
        )  # fmt: skip
    for row, column, count in zip(block.row, block.col, block.data, strict=True):
        parts.append(_cell(row, column, count, sizes[order[row]], order, classes))
    side = LABEL + len(order) * CELL
    frame = Markup('<rect class="frame" x="{0}" y="{0}" width="{1}" height="{1}"/>').format(
        LABEL, len(order) * CELL
    )
    # The last slanting name leans out to the right.
    return Markup(
        '<svg class="matrix" role="img" width="{0}" height="{1}" viewBox="0 0 {0} {1}" '
        'aria-label="Confusion matrix of {2} classes">{3}{4}</svg>'
    ).format(side + LABEL // 2, side + 2, len(order), frame, Markup("").join(parts))


def _cell(row: int, column: int, count: int, images: int, order, classes) -> Markup:
    name, given = classes[order[row]], classes[order[column]]
    x, y = LABEL + column * CELL, LABEL + row * CELL
    # The square root, or a single mistake of many could not be seen.
    strength = round(0.12 + 0.88 * float(np.sqrt(count / images)), 2)
    cell = Markup(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" fill-opacity="{}">'
        "<title>{}: {} of {} taken for {}</title></rect>"
    ).format(
        "right" if row == column else "wrong", x + 0.5, y + 0.5, CELL - 1, CELL - 1, strength,
        name, count, images, given,
    )  # fmt: skip
    if len(order) > MOST_NUMBERED:
        return cell
    return cell + Markup('<text class="{}" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        "count strong" if strength > 0.6 else "count", x + CELL / 2, y + CELL / 2 + 3.5, count
    )


def draw_overview(counts: sparse.csr_array, order: np.ndarray) -> Picture:
    """All classes in one picture; a point that stands for several cells shows the strongest.

    Args:
        counts: (C,C) confusions.
        order: (C,) all classes, in the order to stand in.
    """
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    side = min(OVERVIEW_SIDE, len(order))
    cells = counts.tocoo()
    sizes = np.asarray(counts.sum(axis=1)).reshape(-1)
    share = np.sqrt(cells.data / sizes[cells.row])
    row, column = (place[side_of] * side // len(order) for side_of in (cells.row, cells.col))
    wrong, right = np.zeros((side, side)), np.zeros((side, side))
    off = cells.row != cells.col
    np.maximum.at(wrong, (row[off], column[off]), share[off])
    np.maximum.at(right, (row[~off], column[~off]), share[~off])
    strength = np.where(wrong > 0, np.maximum(wrong, 0.25), 0.7 * right)
    pixels = np.zeros((side, side, 4), np.uint8)
    pixels[..., :3] = np.where((wrong > 0)[..., None], ORANGE, BLUE)
    pixels[..., 3] = np.round(255 * strength)
    return Picture(
        f"Confusions of all {len(order)} classes; mistakes are orange points off the diagonal",
        png_address(pixels),
    )


def shortened(name: str) -> str:
    """A class name that fits beside the matrix."""
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
