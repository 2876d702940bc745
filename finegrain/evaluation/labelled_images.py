"""Labelled images to judge a model by, and what a model said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from finegrain.datasets.layouts.by_name import read_class_folders
from finegrain.datasets.layouts.layout import list_source
from finegrain.datasets.manifest import MANIFEST, DataSet, open_data_set
from finegrain.errors import UserError
from finegrain.runs.predictions import TopAnswers, prediction_rows

VALID, TEST = "valid", "test"
HELD_OUT = (VALID, TEST)
FOLDER_SPLIT = "images"


@dataclass(frozen=True)
class LabelledImages:
    """N images whose class is known; names are relative to their folder, with `/`."""

    split: str
    paths: Sequence[Path]
    names: Sequence[str]
    labels: np.ndarray  # (N,) class indices


@dataclass(frozen=True)
class Answered:
    """What a model said of labelled images that could be read.

    Embeddings are (M, D) float32 of the `compared` rows (M,) of the images, all or some, and D is
    0 where there are none; the unreadable images, name -> reason, are left out.
    """

    images: LabelledImages
    answers: TopAnswers
    compared: np.ndarray
    embeddings: np.ndarray
    unreadable: dict[str, str]

    def rows(self, classes: list[str]) -> pd.DataFrame:
        """Their rows for predictions.csv."""
        images = self.images
        return prediction_rows(images.names, images.split, images.labels, self.answers, classes)


def split_images(data: DataSet, split: str, classes: list[str] | None = None) -> LabelledImages:
    """The images of a split; labels go by `classes`, by default those of the data set."""
    rows = data.rows(split)
    return _labelled(split, data.paths(split), rows["path"], rows["label"], classes or data.classes)


def held_out_images(data: DataSet, classes: list[str] | None = None) -> list[LabelledImages]:
    """The validation and the test images of a data set, as far as it has any."""
    return [split_images(data, split, classes) for split in HELD_OUT if split in data.splits]


def labelled_folder(folder: Path, classes: list[str]) -> list[LabelledImages]:
    """The images of a folder: of a data set those held out, else all, in folders named by class.

    A folder may lack classes of the model. UserError for no such folder, no labelled images in
    it, or a class that the model lacks.
    """
    if (folder / MANIFEST).is_file():
        data = open_data_set(folder, may_lack_images=True)
        _refuse_unknown(folder, data.classes, classes)
        images = held_out_images(data, classes)
        if not images:
            raise UserError(
                f"{folder} has neither validation nor test images; give a folder of class "
                f"folders, such as {folder / 'train'}"
            )
        return images
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {what}; --images takes a folder that holds one for each class")
    listing = list_source(folder)
    if not listing.in_folders:
        raise UserError(
            f"{folder} holds no folders with images, one a class; --images takes such a folder, or "
            "a data set folder"
        )
    listing.folders = {name: images for name, images in listing.folders.items() if images}
    _refuse_unknown(folder, list(listing.folders), classes)
    records = list(read_class_folders(listing))
    paths = [record.path for record in records]
    names = [path.relative_to(folder).as_posix() for path in paths]
    labels = [record.label for record in records]
    return [_labelled(FOLDER_SPLIT, paths, names, labels, classes)]


def _labelled(
    split: str,
    paths: Sequence[Path],
    names: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
) -> LabelledImages:
    index = {name: number for number, name in enumerate(classes)}
    numbers = np.array([index[label] for label in labels], np.int64)
    return LabelledImages(split, paths, list(names), numbers)


def _refuse_unknown(folder: Path, names: list[str], classes: list[str]) -> None:
    unknown = sorted(set(names) - set(classes))
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UserError(
            f"{folder} has the class {unknown[0]!r}{more}, which the run does not know (its first "
            f"is {classes[0]!r}); leave out or rename such folders"
        )
