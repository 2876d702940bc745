"""The confusion matrix: each cell where classes are few, one picture where they are many."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from scipy import sparse

from finegrain.report.photographs import Picture, png_address

# Cells are as wide as fits a page, within these limits.
CELLS, PAGE = (18, 34), 820
LETTERS, LETTER_WIDTH = 22, 7
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
    names = [shortened(classes[number]) for number in order]
    label = LETTER_WIDTH * max(map(len, names)) + 14
    cell = int(np.clip((PAGE - label) / len(order), *CELLS))
    head = int(0.9 * label) + 8
    block = counts[order][:, order].tocoo()
    sizes = np.asarray(counts.sum(axis=1)).reshape(-1)[order]
    parts = [_names(names, label, head, cell)]
    for row, column, count in zip(block.row, block.col, block.data, strict=True):
        title = Markup("<title>{}: {} of {} taken for {}</title>").format(
            classes[order[row]], count, sizes[row], classes[order[column]]
        )
        left, top = label + column * cell, head + row * cell
        # The square root, or a single mistake of many could not be seen.
        strength = round(0.12 + 0.88 * float(np.sqrt(count / sizes[row])), 2)
        kind = "right" if row == column else "wrong"
        parts.append(
            Markup(
                '<rect class="{}" x="{}" y="{}" width="{}" height="{}" fill-opacity="{}">{}</rect>'
            ).format(kind, left + 0.5, top + 0.5, cell - 1, cell - 1, strength, title)
        )
        if len(order) <= MOST_NUMBERED:
            weight = "count strong" if strength > 0.6 else "count"
            parts.append(
                Markup('<text class="{}" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    weight, left + cell / 2, top + cell / 2 + 4, count
                )
            )
    side = len(order) * cell
    # The last slanting name leans out to the right.
    return Markup(
        '<svg class="matrix" role="img" width="{0}" height="{1}" viewBox="0 0 {0} {1}" '
        'aria-label="Confusion matrix of {2} classes"><rect class="frame" x="{3}" y="{4}" '
        'width="{5}" height="{5}"/>{6}</svg>'
    ).format(
        side + label + label // 2,
        side + head + 2,
        len(order),
        label,
        head,
        side,
        Markup("").join(parts),
    )


def _names(names: Sequence[str], label: int, head: int, cell: int) -> Markup:
    """The names at the rows, and aslant over the columns."""
    return Markup("").join(
        Markup(
            '<text x="{}" y="{}" text-anchor="end">{}</text>'
            '<text transform="translate({} {}) rotate(-60)">{}</text>'
        ).format(
            label - 6,
            head + (place + 0.5) * cell + 4,
            name,
            label + (place + 0.5) * cell + 3,
            head - 6,
            name,
        )
        for place, name in enumerate(names)
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
