"""What img2keras.py tells about a source and the data set made from it."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from finegrain.datasets.crops import CROP, JPEG_QUALITY
from finegrain.datasets.data_folder import duplicate_rows
from finegrain.datasets.gather import Unreadable
from finegrain.datasets.layouts import Layout, Listing, Record
from finegrain.datasets.official_split import OFFICIAL_VALID
from finegrain.datasets.retrieval import retrieval_lines
from finegrain.datasets.summary import class_table, counted, list_few, small_classes


def tell_source(
    source: Path, listing: Listing, layout: Layout, records: Collection[Record], forced: bool
) -> None:
    """The layout, the count, and what of the source was not taken."""
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
    return [f"ignored  {what}: {len(names)} ({_few(names)})" for what, names in left_out if names]


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
        print(
            f"label conflicts  {counted(conflicts, 'group')} with one picture in several classes:"
        )
        labelled = [group["source"] + " (" + group["label"] + ")" for group in conflicts]
        print(list_few([" = ".join(names[:4]) for names in labelled]))
    print(f"  full list: {output / 'duplicates.csv'}")


def tell_result(
    rows: pd.DataFrame, placed: pd.DataFrame, copied: int, official: Path | None, split: str
) -> None:
    """The split, a line a class, and the classes that lack validation or training images.

    Args:
        rows: of the classes.
        placed: the same and what is there for retrieval.
        copied: how many files could not be linked.
        official: where the split comes from, if the source brought one.
        split: which was asked for.
    """
    if copied:
        total = len(placed)
        print(f"copied  {copied} of {total} images, because the file system refused to link them")
    if official is not None:
        valid = "are the validation" if split == OFFICIAL_VALID else "go to test/"
        print(f"split  that of {official}, whose test images {valid}")
    print()
    print("\n".join([class_table(rows), *retrieval_lines(placed)]))
    with_valid = set(rows["label"][rows["split"] == "valid"])
    without = sorted(set(rows["label"]) - with_valid)
    if without:
        why = "too few images" if official is not None else "all images are duplicates"
        print(f"\nno validation image  {counted(without, 'class')}, {why}:")
        print(list_few(without))
    if small := small_classes(rows):
        print(f"\n{small}")
