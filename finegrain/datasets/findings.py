"""What img2keras.py tells about a source and the data set made from it."""

import unicodedata
from collections.abc import Collection, Sized
from pathlib import Path

import pandas as pd

from finegrain.datasets.class_names import class_order
from finegrain.datasets.crops import CROP, JPEG_QUALITY
from finegrain.datasets.data_folder import duplicate_rows
from finegrain.datasets.gather import Unreadable
from finegrain.datasets.layouts.layout import Layout, Listing, Record
from finegrain.datasets.official_split import OFFICIAL_VALID
from finegrain.datasets.retrieval import retrieval_lines
from finegrain.datasets.split import SPLITS

WIDEST_NAME = 32
# A class is small with fewer training images than these, or than this share of the median class.
FEW_IMAGES, SMALL_SHARE = 10, 0.1


def tell_source(
    source: Path, listing: Listing, layout: Layout, records: Collection[Record], forced: bool
) -> None:
    """The layout, the count, and which parts of the source were not taken."""
    print(f"source   {source}")
    print(f"layout   {layout.name} ({layout.example}), {'forced' if forced else 'found'}")
    print(f"images   {len(records)} of {len({record.label for record in records})} classes")
    for line in left_out_lines(listing, layout, records):
        print(line)
    for notice in listing.notices:
        print(f"notice   {notice}")


def left_out_lines(listing: Listing, layout: Layout, records: Collection[Record]) -> list[str]:
    """A line for each kind of thing that a layout did not take, with their count and a few."""
    left_out = list(listing.left_out)
    if not layout.own_index:
        taken = {record.path for record in records}
        unlabelled = [path.name for path in listing.all_images if path not in taken]
        no_images = [path.name for path in listing.ignored + listing.broken_links]
        left_out += [
            ("hidden files and files that are no images", no_images),
            ("images without a class", unlabelled),
            ("folders without images", [name for name, got in listing.folders.items() if not got]),
            ("folders inside class folders", [path.name for path in listing.unentered]),
        ]
    return [f"ignored  {kind}: {len(names)} ({_few(names)})" for kind, names in left_out if names]


def _few(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def tell_findings(
    output: Path, rows: pd.DataFrame, unreadable: Unreadable, clipped: list[str]
) -> None:
    """Unreadable files, clipped boxes, duplicates, conflicts: the count, a few, the list."""
    print()
    if unreadable:
        print(f"unreadable  {counted(unreadable, 'image')} left out:")
        print(list_few([f"{path}: {reason}" for path, reason in unreadable]))
        print(f"  full list: {output / 'unreadable.csv'}")
    if CROP in rows:
        print(f"crops  {counted(rows, 'image')} cut to their boxes (JPEG, quality {JPEG_QUALITY})")
    if clipped:
        print(f"clipped  {counted(clipped, 'box')} reaching beyond the photograph:")
        print(list_few(clipped))
    duplicates = duplicate_rows(rows)
    groups = [group for _, group in duplicates.groupby("group")]
    if not groups:
        print("duplicates  none found")
        return
    splits = rows.set_index("path")["split"]
    apart = [group for group in groups if splits[group["path"]].nunique() > 1]
    exact = sum(duplicates["kind"] == "exact")
    print(
        f"duplicates  {counted(duplicates, 'image')} ({exact} exact, "
        f"{len(duplicates) - exact} near) in {counted(groups, 'group')}, each kept on one side "
        f"of the split{', but for those below' if apart else ''}:"
    )
    print(list_few([" = ".join(group["source"][:4]) for group in groups]))
    if apart:
        print(f"apart  the official split parts {counted(apart, 'group')}, so scores flatter:")
        print(list_few([" = ".join(group["path"][:4]) for group in apart]))
    conflicts = [group for group in groups if group["label"].nunique() > 1]
    if conflicts:
        count = counted(conflicts, "group")
        print(f"label conflicts  {count} with one picture in several classes:")
        labelled = [group["source"] + " (" + group["label"] + ")" for group in conflicts]
        print(list_few([" = ".join(names[:4]) for names in labelled]))
    print(f"  full list: {output / 'duplicates.csv'}")


def tell_result(
    rows: pd.DataFrame, placed: pd.DataFrame, copied: int, official: Path | None, split: str
) -> None:
    """The split, a line a class, and the classes that lack validation or training images.

    `placed` are the `rows` of the classes and what is there for retrieval; `official` is the file
    that the split comes from, if the source brought one.
    """
    if copied:
        total = len(placed)
        print(f"copied  {copied} of {total} images, because the file system refused to link them")
    if official is not None:
        valid = "are the validation" if split == OFFICIAL_VALID else "go to test/"
        print(f"split  that of {official}, whose test images {valid}")
    print()
    print("\n".join([class_table(rows), *retrieval_lines(placed)]))
    if without := sorted(set(rows["label"]) - set(rows["label"][rows["split"] == "valid"])):
        why = "too few images" if official is not None else "all images are duplicates"
        print(f"\nno validation image  {counted(without, 'class')}, {why}:")
        print(list_few(without))
    if small := small_classes(rows):
        print(f"\n{small}")


def class_table(rows: pd.DataFrame, most_rows: int = 40) -> str:
    """A line a class: images in each split, smallest and largest image; totals at the end.

    Of more than `most_rows` classes, those with the fewest and the most images are shown.
    """
    splits = [split for split in SPLITS if split in set(rows["split"])]
    counts = pd.crosstab(rows["label"], rows["split"]).reindex(columns=splits, fill_value=0)
    names = shown = class_order(rows["label"])
    half = most_rows // 2
    if len(names) > most_rows:
        by_size = sorted(names, key=counts.sum(axis=1).__getitem__)
        shown = by_size[:half] + by_size[-half:]
    lines = [["class", *splits, "smallest", "largest"]]
    of_class = rows.groupby("label")
    for name in shown:
        lines.append([name, *map(str, counts.loc[name]), *_sizes(of_class.get_group(name))])
    if left_out := len(names) - len(shown):
        lines.insert(1 + half, [f"... {left_out} classes between the smallest and the largest"])
    lines.append([f"{len(names)} classes", *map(str, counts.sum()), *_sizes(rows)])
    return _aligned(lines)


def small_classes(rows: pd.DataFrame, most_named: int = 5) -> str:
    """Which classes have too few training images to be learnt beside the others, in words.

    The smallest are named, the others counted. Empty where there are none.
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


def _sizes(rows: pd.DataFrame) -> list[str]:
    pixels = rows["width"] * rows["height"]
    extremes = rows.loc[[pixels.idxmin(), pixels.idxmax()]]
    return [f"{row.width}x{row.height}" for row in extremes.itertuples()]


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
    # Chinese characters take two places on a terminal, combining accents none.
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )
