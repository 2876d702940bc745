"""What keeps two exported files from being joined, named."""

import numpy as np

from finegrain.embeddings.feature_file import FeatureFile
from finegrain.errors import UserError

MOST_NAMED = 3

# (path, view) -> row
Keys = dict[tuple[str, int], int]


def check_classes(first: FeatureFile, file: FeatureFile) -> None:
    """Refuse other classes, another order of them, or other category ids."""
    if file.classes == first.classes:
        if file.category_ids != first.category_ids:
            raise UserError(
                f"{file.path} calls the classes by other category ids than {first.path}; export "
                "both from one data set"
            )
        return
    lacks = [name for name in first.classes if name not in set(file.classes)]
    adds = [name for name in file.classes if name not in set(first.classes)]
    what = _difference(lacks, adds) if lacks or adds else "orders the same classes otherwise"
    raise UserError(
        f"{file.path} has other classes than {first.path}: it {what}; export both from one data set"
    )


def check_splits(first: FeatureFile, file: FeatureFile) -> None:
    """Refuse other splits."""
    lacks = [split for split in first.splits if split not in file.splits]
    adds = [split for split in file.splits if split not in first.splits]
    if lacks or adds:
        raise UserError(
            f"{file.path} has other splits than {first.path}: it {_difference(lacks, adds)}; "
            "export both with the same --data and --images"
        )


def check_photographs(
    first: FeatureFile, file: FeatureFile, split: str, index: Keys, own: Keys
) -> None:
    """Refuse other photographs or other views of them.

    Args:
        first: file to compare with.
        file: another one.
        split: of the rows.
        index: rows of `first`.
        own: rows of `file`.
    """
    paths, own_paths = {path: 0 for path, _ in index}, {path: 0 for path, _ in own}
    lacks = [path for path in paths if path not in own_paths]
    adds = [path for path in own_paths if path not in paths]
    if lacks or adds:
        raise UserError(
            f"{file.path} has other photographs than {first.path} in {split}: it "
            f"{_difference(lacks, adds)}; export both from the same photographs"
        )
    if index.keys() != own.keys():
        raise UserError(
            f"{file.path} has other views of its photographs than {first.path} in {split}; export "
            "both with the same --views"
        )


def check_rows(first: FeatureFile, file: FeatureFile, split: str, places: np.ndarray) -> None:
    """Refuse photographs that two files know by other labels or ids.

    Args:
        first: file to compare with.
        file: another one.
        split: of the rows.
        places: (N,) row in `file` of each row of `first`.
    """
    rows = first.splits[split]
    for what in ("labels", "ids"):
        here, there = getattr(file.splits[split], what)[places], getattr(rows, what)
        different = np.flatnonzero(here != there)
        if len(different):
            raise UserError(
                f"{file.path} gives {len(different)} photographs of {split} other {what} than "
                f"{first.path}, the first is {rows.paths[different[0]]}; export both from one "
                "data set"
            )


def _difference(lacks: list[str], adds: list[str]) -> str:
    return " and ".join(
        f"{verb} {_some(names)}" for verb, names in (("lacks", lacks), ("adds", adds)) if names
    )


def _some(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
