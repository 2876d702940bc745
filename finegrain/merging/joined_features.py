"""Exported files of several backbones, joined by the path of each photograph."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finegrain.embeddings.feature_file import FeatureFile, SplitRows
from finegrain.errors import UserError
from finegrain.merging.differences import (
    check_classes,
    check_photographs,
    check_rows,
    check_splits,
)


@dataclass(frozen=True)
class JoinedFeatures:
    """Rows that all files have, in the order of the first.

    Attributes:
        files: backbone -> its file.
        classes: class names in index order.
        category_ids: what a JSON's leaderboard calls them, None where it takes the names.
        splits: split -> what its rows are.
        places: split -> backbone -> (N,) numbers of the rows in that file.
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
        """Embeddings of some rows.

        Args:
            names: of the backbones wanted.
            split: of the rows.
            rows: (B,) their numbers.

        Returns:
            Backbone -> (B, D) float32.

        Raises:
            UserError: a number is not finite.
        """
        places = self.places[split]
        return {name: self.files[name].read(split, places[name][rows]) for name in names}


def join_features(files: Sequence[FeatureFile]) -> JoinedFeatures:
    """Join files by the paths of their rows, never by position.

    Args:
        files: exported from the same photographs, in whatever order each.

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
        check_classes(first, file)
        check_splits(first, file)
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
    index = _index(first, split)
    places = {first.name: identity}
    for file in others:
        own = file.splits[split]
        same = len(own.paths) == len(rows.paths) and (own.paths == rows.paths).all()
        if same and (own.views == rows.views).all():
            places[file.name] = identity
        else:
            own_index = _index(file, split)
            check_photographs(first, file, split, index, own_index)
            places[file.name] = np.array([own_index[key] for key in index], np.int64)
        check_rows(first, file, split, places[file.name])
    return places


def _index(file: FeatureFile, split: str) -> dict[tuple[str, int], int]:
    """(path, view) -> row, in the order of the rows."""
    rows = file.splits[split]
    index: dict[tuple[str, int], int] = {}
    for row, key in enumerate(zip(rows.paths, rows.views.tolist(), strict=True)):
        if index.setdefault(key, row) != row:
            raise UserError(
                f"{file.path} has {key[0]} twice in {split}, in rows {index[key]} and {row}; "
                "export it again"
            )
    return index
