"""What a person reads after a data set was made."""

import unicodedata
from collections.abc import Sized

import pandas as pd

from finegrain.datasets.class_names import class_order
from finegrain.datasets.split import SPLITS

WIDEST_NAME = 32
# A class is small with fewer training images than these, or than this share of the median class.
FEW_IMAGES, SMALL_SHARE = 10, 0.1


def class_table(rows: pd.DataFrame, most_rows: int = 40) -> str:
    """A line a class: images in each split, smallest and largest image; totals at the end.

    Args:
        rows: the manifest's rows (columns label, split, width, height).
        most_rows: with more classes than this, only those with the fewest and those with the
            most images are shown, half of the lines each.
    """
    splits = [split for split in SPLITS if split in set(rows["split"])]
    counts = pd.crosstab(rows["label"], rows["split"]).reindex(columns=splits, fill_value=0)
    names = class_order(rows["label"])
    shown, left_out = names, 0
    if len(names) > most_rows:
        total = counts.sum(axis=1)
        by_size = sorted(names, key=lambda name: total[name])
        shown = by_size[: most_rows // 2] + by_size[-(most_rows // 2) :]
        left_out = len(names) - len(shown)
    lines = [["class", *splits, "smallest", "largest"]]
    of_class = rows.groupby("label")
    for name in shown:
        lines.append([name, *map(str, counts.loc[name]), *_sizes(of_class.get_group(name))])
    if left_out:
        note = f"... {left_out} classes between the smallest and the largest"
        lines.insert(1 + most_rows // 2, [note])
    total = [str(sum(rows["split"] == split)) for split in splits]
    lines.append([f"{len(names)} classes", *total, *_sizes(rows)])
    return _aligned(lines)


def small_classes(rows: pd.DataFrame, most_named: int = 5) -> str:
    """Which classes have too few training images to be learnt beside the others.

    Those with fewer than `FEW_IMAGES`, and those with less than `SMALL_SHARE` of what the median
    class has.

    Args:
        rows: the manifest's rows (columns label, split).
        most_named: the smallest so many are named, the others counted.

    Returns:
        A line that counts them and a line a name; empty where there are none.
    """
    in_training = rows["split"] == "train"
    counts = in_training.groupby(rows["label"]).sum().sort_values(kind="stable")
    median = counts.median()
    enough = max(FEW_IMAGES, SMALL_SHARE * median)
    small = counts[counts < enough]
    if small.empty:
        return ""
    named = [f"{name}: {count}" for name, count in small.items()]
    return (
        f"small classes  {counted(small, 'class')} with fewer than {enough:g} training images, "
        f"too few to be learnt well (the median class has {median:g}):\n"
        f"{list_few(named, most_named)}"
    )


def list_few(items: list[str], most: int = 3) -> str:
    """The first items, indented, a line each."""
    more = [f"  ... and {len(items) - most} more"] if len(items) > most else []
    return "\n".join([f"  {item}" for item in items[:most]] + more)


def counted(things: Sized, noun: str) -> str:
    """`1 class`, `2 classes`."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{len(things)} {noun}{'' if len(things) == 1 else plural}"


def _sizes(rows: pd.DataFrame) -> tuple[str, str]:
    pixels = rows["width"] * rows["height"]
    smallest, largest = (
        f"{rows.at[place, 'width']}x{rows.at[place, 'height']}"
        for place in (pixels.idxmin(), pixels.idxmax())
    )
    return smallest, largest


def _aligned(lines: list[list[str]]) -> str:
    """Columns side by side, the first to the left, numbers to the right."""
    lines = [[_shortened(line[0]) if len(line) > 1 else line[0], *line[1:]] for line in lines]
    full = [line for line in lines if len(line) > 1]
    widths = [max(map(_width, column)) for column in zip(*full, strict=True)]
    written = []
    for name, *cells in lines:
        padding = " " * (widths[0] - _width(name))
        cells = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=False)]
        written.append("  ".join([name + padding, *cells]).rstrip())
    return "\n".join(written)


def _shortened(name: str) -> str:
    if _width(name) <= WIDEST_NAME:
        return name
    while _width(name) >= WIDEST_NAME:
        name = name[:-1]
    return name + "…"


def _width(text: str) -> int:
    # Chinese signs take two places on a terminal, combining accents none.
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in text
    )
