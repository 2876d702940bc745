"""A stratified draw of photographs from a folder of any layout."""

import os
import random
import shutil
from collections import defaultdict
from pathlib import Path

from finegrain.datasets.gather import read_records
from finegrain.datasets.layouts import find_layout
from finegrain.datasets.layouts.layout import list_source


def place_some(source: Path, folder: Path, count: int, seed: int = 0) -> int:
    """Link so many photographs of a source into a folder a class.

    Args:
        source: labelled photographs in any layout that img2keras.py knows.
        folder: where the class folders are made.
        count: how many, each class giving its share; all where there are no more.
        seed: of the draw.

    Returns:
        How many were placed.

    Raises:
        UserError: no such folder, or no layout fits it.
    """
    listing = list_source(source)
    by_class: dict[str, list[Path]] = defaultdict(list)
    for record in read_records(listing, find_layout(listing, "auto")):
        by_class[record.label].append(record.path)
    chance = random.Random(seed)
    for paths in by_class.values():
        chance.shuffle(paths)
    chosen = shares({label: len(paths) for label, paths in by_class.items()}, count)
    for label, paths in by_class.items():
        (folder / label).mkdir(parents=True)
        for path in paths[: chosen[label]]:
            place(path, folder / label / path.name)
    return sum(chosen.values())


def shares(sizes: dict[str, int], count: int) -> dict[str, int]:
    """How many each class gives, in proportion to its size, `count` in all.

    Remainders go to the classes that lost most by rounding down.
    """
    total = sum(sizes.values())
    count = min(count, total)
    exact = {label: size * count / total for label, size in sizes.items()}
    given = {label: int(share) for label, share in exact.items()}
    short = sorted(sizes, key=lambda label: given[label] - exact[label])
    for label in short[: count - sum(given.values())]:
        given[label] += 1
    return given


def place(path: Path, target: Path) -> None:
    """Hard-link a file, or copy it where that cannot be."""
    try:
        os.link(path.resolve(), target)
    except OSError:
        shutil.copyfile(path, target)
