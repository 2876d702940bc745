"""How many training photographs the classes have, from the largest to the smallest."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from finegrain.report.drawing import Frame, axes, chart

# More bars could not be told apart.
MOST_BARS = 80


def draw_class_sizes(counts: Sequence[int], classes: Sequence[str]) -> Markup:
    """A bar for each class, or, of many classes, for each stretch of classes of like size.

    Args:
        counts: (C,) training photographs of each class, at least one class.
        classes: (C,) names.
    """
    sizes = np.asarray(counts, np.int64)
    order = np.argsort(-sizes, kind="stable")
    frame = Frame((0, len(sizes)), (0, max(1, 1.05 * sizes.max())))
    bars = []
    for stretch in np.array_split(np.arange(len(sizes)), min(MOST_BARS, len(sizes))):
        first, last = int(stretch[0]), int(stretch[-1])
        height = float(sizes[order[stretch]].mean())
        left, right = frame.left(first), frame.left(last + 1)
        gap = min(2.0, 0.2 * (right - left))
        box = Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}">{}</rect>')
        title = Markup("<title>{}</title>").format(_title(classes, order, sizes, first, last))
        bars.append(
            box.format(
                left,
                frame.top(height),
                round(right - left - gap, 2),
                round(frame.top(0) - frame.top(height), 1),
                title,
            )
        )
    return chart(
        f"Training photographs a class: {sizes.min()} to {sizes.max()}, median "
        f"{np.median(sizes):g}, classes sorted by size",
        [axes(frame, "classes, largest first", "", whole_x=True), *bars],
    )


def _title(
    classes: Sequence[str], order: np.ndarray, sizes: np.ndarray, first: int, last: int
) -> str:
    one = f"{classes[order[first]]}: {sizes[order[first]]}"
    return one if first == last else f"{one} to {classes[order[last]]}: {sizes[order[last]]}"
