"""Exported files of several backbones, joined by the path of each photograph."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from finegrain.embeddings.feature_file import FeatureFile, SplitRows
from finegrain.errors import UserError

MOST_NAMED = 3

# (path, view) -> row
Keys = dict[tuple[str, int], int]


@dataclass(frozen=True)
class JoinedFeatures:
    """Rows that all files (by backbone) have, in the order of the first; see `FeatureFile`.

    `places`: split -> backbone -> (N,) numbers of the rows in that file.
    """

    files: dict[str, FeatureFile]
    classes: list[str]
    category_ids: list[str] | None
    splits: dict[str, SplitRows]
    places: dict[str, dict[str, np.ndarray]]

    @property
    def widths(self) -> dict[str, int]:
        """Backbone -> numbers an embedding."""
        return {name: file.width for name, file in self.files.items()}

    def read(self, names: Sequence[str], split: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Embeddings of some rows: backbone -> (B, D) float32; UserError if one is not finite."""
        places = self.places[split]
        return {name: self.files[name].read(split, places[name][rows]) for name in names}


def join_features(files: Sequence[FeatureFile]) -> JoinedFeatures:
    """Join files of the same photographs by the paths of their rows, never by position.

    Raises:
        UserError: a file comes twice, has other classes, splits, photographs, views or labels
            than the first, or a photograph twice; names the differences.
    """
    named: dict[str, FeatureFile] = {}
    for file in files:
        if file.name in named:
            raise UserError(
                f"{named[file.name].path} and {file.path} have one name, {file.name}, that of a "
                "branch of the model; rename one, or leave it out"
            )
        named[file.name] = file
    first, *others = files
    for file in others:
        _check_classes_and_splits(first, file)
    places = {split: _places(files, split) for split in first.splits}
    for file in others:
        if file.data != first.data:
            raise UserError(
                f"{file.path} and {first.path} name the same photographs but were made from "
                "different data sets; export both from one"
            )
    return JoinedFeatures(named, first.classes, first.category_ids, first.splits, places)


def _places(files: Sequence[FeatureFile], split: str) -> dict[str, np.ndarray]:
    first, *others = files
    rows = first.splits[split]
    identity = np.arange(len(rows.paths))
    _check_once(first, split)
    index: Keys = {}
    places = {first.name: identity}
    for file in others:
        own = file.splits[split]
        same = len(own.paths) == len(rows.paths) and (own.paths == rows.paths).all()
        if same and (own.views == rows.views).all():
            places[file.name] = identity
        else:
            index = index or _index(first, split)
            own_index = _index(file, split)
            _check_photographs(first, file, split, index, own_index)
            places[file.name] = np.array([own_index[key] for key in index], np.int64)
        _check_rows(first, file, split, places[file.name])
    return places


def _check_once(file: FeatureFile, split: str) -> None:
    """Refuse a photograph that comes twice."""
    rows = file.splits[split]
    keys = zip(rows.paths, rows.views.tolist(), strict=True)
    # A hash takes a tenth of what a row of an index does, of which there may be millions.
    hashes = np.fromiter(map(hash, keys), np.int64, len(rows.paths))
    if len(np.unique(hashes)) < len(hashes):
        _index(file, split)


def _index(file: FeatureFile, split: str) -> Keys:
    """The rows in their order."""
    rows = file.splits[split]
    index: Keys = {}
    for row, key in enumerate(zip(rows.paths, rows.views.tolist(), strict=True)):
        if index.setdefault(key, row) != row:
            raise UserError(
                f"{file.path} has {key[0]} twice in {split}, in rows {index[key]} and {row}; "
                "export it again"
            )
    return index


def _check_classes_and_splits(first: FeatureFile, file: FeatureFile) -> None:
    if file.classes != first.classes:
        found = _difference(first.classes, file.classes) or "orders the same classes otherwise"
        raise UserError(
            f"{file.path} has other classes than {first.path}: it {found}; export both from one "
            "data set"
        )
    if file.category_ids != first.category_ids:
        raise UserError(
            f"{file.path} calls the classes by other category ids than {first.path}; export "
            "both from one data set"
        )
    if found := _difference(first.splits, file.splits):
        raise UserError(
            f"{file.path} has other splits than {first.path}: it {found}; "
            "export both with the same --data and --images"
        )


def _check_photographs(
    first: FeatureFile, file: FeatureFile, split: str, index: Keys, own: Keys
) -> None:
    """Refuse other photographs than those of the first, or other views of them."""
    if found := _difference((path for path, _ in index), (path for path, _ in own)):
        raise UserError(
            f"{file.path} has other photographs than {first.path} in {split}: it {found}; "
            "export both from the same photographs"
        )
    if index.keys() != own.keys():
        raise UserError(
            f"{file.path} has other views of its photographs than {first.path} in {split}; export "
            "both with the same --views"
        )


def _check_rows(first: FeatureFile, file: FeatureFile, split: str, places: np.ndarray) -> None:
    """Refuse photographs that two files know by other labels or ids."""
    rows = first.splits[split]
    for column in ("labels", "ids"):
        here, there = getattr(file.splits[split], column)[places], getattr(rows, column)
        different = np.flatnonzero(here != there)
        if len(different):
            raise UserError(
                f"{file.path} gives {len(different)} photographs of {split} other {column} than "
                f"{first.path}, the first is {rows.paths[different[0]]}; export both from one "
                "data set"
            )


def _difference(wanted: Iterable[str], there: Iterable[str]) -> str:
    """What is lacking and what is too much, in words; empty where nothing is."""
    wanted, there = dict.fromkeys(wanted), dict.fromkeys(there)
    differences = {
        "lacks": [name for name in wanted if name not in there],
        "adds": [name for name in there if name not in wanted],
    }
    return " and ".join(f"{verb} {_named(names)}" for verb, names in differences.items() if names)


def _named(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
