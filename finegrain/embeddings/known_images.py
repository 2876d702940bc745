"""The images among which similar ones are looked for."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from finegrain.embeddings.all_rows import AllRows
from finegrain.embeddings.feature_file import FeatureFile, Unreadable


@dataclass(frozen=True)
class KnownImage:
    """An image of an index: its file, its path below the index, its class and its split.

    Label and split are empty where there are none: in a folder without classes, or no data set.
    The file need not be there.
    """

    path: Path
    name: str
    label: str
    split: str


class SimilarIndex:
    """N known images, in the order of the rows of their embeddings.

    Args:
        features: their embeddings; of several views the first.
        folder: what the paths of the images begin at.
        is_data_set: whether its splits are told.
        is_export: whether its classes are told, or else the folders that images stand in.

    Attributes:
        rows: their embeddings, at length 1.
        unreadable: images without a row.
    """

    def __init__(
        self, features: FeatureFile, folder: Path, is_data_set: bool, is_export: bool = False
    ):
        self._features, self._folder = features, folder
        self._is_data_set, self._is_export = is_data_set, is_export
        self.rows = AllRows(features)
        self.unreadable: list[Unreadable] = []
        for split in features.splits.values():
            self.unreadable += split.unreadable

    def __len__(self) -> int:
        return len(self.rows)

    def image(self, row: int) -> KnownImage:
        """The image of a row, from 0 to N - 1."""
        split, number = self.rows.place(row)
        columns = self._features.splits[split]
        name = str(columns.paths[number])
        label = PurePosixPath(name).parent.name
        if self._is_export:
            known = int(columns.labels[number])
            label = self._features.classes[known] if known >= 0 else ""
        return KnownImage(self._folder / name, name, label, split if self._is_data_set else "")
