"""The manifest: the table of a data set, and the data set that a training script opens."""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import StringConstraints

from finegrain.datasets.split import RETRIEVAL, SPLITS
from finegrain.errors import UserError
from finegrain.records import Damaged, check_type, read_json

MANIFEST = "manifest.csv"
CLASSES = "classes.json"
# Stands in a data folder while images are being placed; lists every file being made.
UNFINISHED = ".unfinished.csv"
DUPLICATES = "duplicates.csv"
UNREADABLE = "unreadable.csv"
ROWS_AT_ONCE = 20_000
ClassName = Annotated[str, StringConstraints(min_length=1)]
COLUMNS = ("path", "label", "split", "width", "height", "sha1")
# What leaderboards call a class; only of data sets made from a JSON of annotations.
CATEGORY_ID = "category_id"


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set folder made by `img2keras.py`."""

    folder: Path  # absolute
    classes: list[str]  # index i is label i
    # The manifest without images for retrieval; `path` is relative to the folder, with `/`.
    table: pd.DataFrame
    digest: str  # 64 hexadecimal digits, see `digest`; the same wherever the folder stands

    @property
    def splits(self) -> list[str]:
        """The splits that have images, in the order train, valid, test."""
        there = set(self.table["split"].unique())
        return [split for split in SPLITS if split in there]

    def rows(self, split: str) -> pd.DataFrame:
        """The manifest's rows of one split, in the order of `paths` and `labels`."""
        return self.table[self.table["split"] == split].reset_index(drop=True)

    def paths(self, split: str) -> list[Path]:
        """Absolute paths of a split's images."""
        paths = self.table["path"][self.table["split"] == split]
        return [self.folder / path for path in paths.tolist()]

    def validation_learnt(self) -> "DataSet":
        """The data set as a training sees it that learns the validation images as well."""
        splits = self.table["split"].where(self.table["split"] != "valid", "train")
        return replace(self, table=self.table.assign(split=splits))

    def labels(self, split: str) -> np.ndarray:
        """(N,) int64 class indices of a split's images, in the order of `paths`."""
        labels = self.table["label"][self.table["split"] == split]
        index = {name: number for number, name in enumerate(self.classes)}
        return np.array([index[label] for label in labels.tolist()], np.int64)


def open_data_set(folder: Path | str, may_lack_images: bool = False) -> DataSet:
    """Open a data set folder and check that it can be trained on.

    Raises a `UserError` for no such folder, no or a broken manifest, an unfinished folder, missing
    images (which `may_lack_images` allows), no training images, fewer than two classes.
    """
    folder = Path(folder).absolute()
    again = f"python img2keras.py --source PHOTOS --output '{folder}'"
    if not folder.is_dir():
        raise UserError(f"there is no data set folder {folder}; make it with: {again}")
    refuse_unfinished(folder)
    for name in (MANIFEST, CLASSES):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}; make the data set with: {again}")
    classes = read_class_names(folder / CLASSES, "make the data set again")
    table = read_manifest(folder / MANIFEST)
    for_retrieval = table["split"].isin(RETRIEVAL)
    if for_retrieval.any():
        table = table[~for_retrieval].reset_index(drop=True)
    _check_rows(table, classes, folder)
    missing = _missing(table["path"].tolist(), folder)
    if missing and not may_lack_images:
        raise UserError(
            f"{len(missing)} of {len(table)} images in {folder / MANIFEST} are missing, the first "
            f"is {missing[0]}; start the img2keras.py command that made the folder again"
        )
    return DataSet(folder, classes, table, digest(table, classes))


def refuse_unfinished(folder: Path) -> None:
    """Refuse a data set folder in which images are being placed, or were when a run was killed."""
    if (folder / UNFINISHED).exists():
        raise UserError(f"{folder} was not finished; start the same img2keras.py command again")


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest, all text but width and height (int64 pixels); a `UserError` if damaged."""
    try:
        # A class may well be called "NA" or "007".
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is no manifest ({reason}); make the data set again") from error
    for column in COLUMNS:
        if column not in table:
            raise UserError(
                f"{path} is no manifest: the column {column} is missing; make the data set again"
            )
    short = np.flatnonzero(table.isna().any(axis=1))
    # pandas takes surplus entries for the names of the rows.
    longer = not isinstance(table.index, pd.RangeIndex)
    if longer or len(short):
        row, amount = (1, "more") if longer else (short[0] + 1, "fewer")
        raise UserError(
            f"{path} has {amount} entries in row {row} than columns; make the data set again"
        )
    # Manifests of earlier versions know no groups.
    groups = table["group"] if "group" in table else pd.Series(dtype=str)
    strange = groups[~groups.str.fullmatch(r"[0-9]{0,18}")]
    if len(strange):
        raise UserError(
            f"{path} has the group {strange.iloc[0]!r}, which is no number; make the data set again"
        )
    try:
        return table.astype({"width": np.int64, "height": np.int64})
    except (ValueError, OverflowError) as error:
        raise UserError(f"{path} has a size that is no number ({error}); make it again") from error


def digest(table: pd.DataFrame, classes: list[str]) -> str:
    """SHA-256 of what a data set is: its rows in any order, and its class order."""
    columns = ["path", "label", "split", "sha1"]
    rows = sorted(zip(*(table[name].tolist() for name in columns), strict=True))
    # As JSON of [classes, rows], of which a million rows would take a gigabyte at once.
    sha256 = hashlib.sha256(f"[{json.dumps(classes)}, [".encode("ascii"))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = json.dumps(rows[start : start + ROWS_AT_ONCE])[1:-1]
        sha256.update(f"{', ' if start else ''}{part}".encode("ascii"))
    sha256.update(b"]]")
    return sha256.hexdigest()


def read_class_names(path: Path, mend: str) -> list[str]:
    """The different names of a `classes.json`, in index order, or a `UserError` with `mend`."""
    classes = read_json(path, mend)
    try:
        check_type(classes, list[ClassName])
    except Damaged as error:
        raise UserError(f"{path} is no list of class names ({error}); {mend}") from error
    if len(set(classes)) != len(classes):
        raise UserError(f"{path} is no list of different class names; {mend}")
    return classes


def category_ids(data: DataSet) -> list[str] | None:
    """A leaderboard's ids of `data.classes`, each one of its own or a `UserError`; None: names."""
    if CATEGORY_ID not in data.table:
        return None
    pairs = data.table[["label", CATEGORY_ID]].drop_duplicates()
    id_of = dict(pairs.itertuples(index=False, name=None))
    one_each = len(pairs) == len(id_of) == len(set(id_of.values()))
    if not one_each or set(id_of) != set(data.classes) or not all(id_of.values()):
        raise UserError(
            f"{data.folder / MANIFEST} does not give each class a {CATEGORY_ID} of its own; make "
            "the data set again"
        )
    return [id_of[name] for name in data.classes]


def _is_below(image: str) -> bool:
    path = PurePosixPath(image)
    return bool(image) and not path.is_absolute() and ".." not in path.parts


def _missing(images: list[str], folder: Path) -> list[str]:
    """Which of some paths below a folder are no files there.

    Folders are listed, which takes a third of the time of asking for every file.
    """
    by_parent: dict[str, list[int]] = {}
    for number, image in enumerate(images):
        by_parent.setdefault(image.rpartition("/")[0], []).append(number)
    missing = []
    for parent, numbers in by_parent.items():
        there = _files_in(folder / parent)
        for number in numbers:
            # Of a name that is spelled otherwise in the listing, as `./a.jpg`, the system knows.
            if images[number].rpartition("/")[2] not in there and not os.path.isfile(
                folder / images[number]
            ):
                missing.append(number)
    return [images[number] for number in sorted(missing)]


def _files_in(folder: Path) -> set[str]:
    """The names of a folder's files and of its links to files; none where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    # Of a name that no folder can have it is a ValueError.
    except (OSError, ValueError):
        return set()


def _check_rows(table: pd.DataFrame, classes: list[str], folder: Path) -> None:
    path = folder / MANIFEST
    for column, known in (("split", SPLITS), ("label", classes)):
        unknown = table.loc[~table[column].isin(known), column]
        if len(unknown):
            raise UserError(
                f"{path} has the {column} {unknown.iloc[0]!r}, which is not one of "
                f"{', '.join(known[:5])}{' ...' if len(known) > 5 else ''}; make the data set again"
            )
    for image in table["path"].tolist():
        if (image[:1] in ("", "/") or ".." in image) and not _is_below(image):
            raise UserError(f"{path} names {image!r}, which is not below {folder}; mend that row")
    training = table.loc[table["split"] == "train", "label"]
    if not len(training):
        raise UserError(f"{path} has no training images; make the data set again")
    if training.nunique() < 2:
        raise UserError(f"{path} has one class only, {training.iloc[0]}; two or more are needed")
