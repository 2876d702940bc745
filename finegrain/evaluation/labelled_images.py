"""Labelled images to judge a model by: splits of a data set, or folders named by class."""

from pathlib import Path

import numpy as np

from finegrain.datasets.layouts import list_source
from finegrain.datasets.layouts.by_name import read_class_folders
from finegrain.datasets.manifest import MANIFEST, DataSet, open_data_set
from finegrain.errors import UserError
from finegrain.evaluation.answer_images import LabelledImages

HELD_OUT = ("valid", "test")
FOLDER_SPLIT = "images"


def split_images(data: DataSet, split: str, classes: list[str] | None = None) -> LabelledImages:
    """The images of a split.

    Args:
        data: the data set.
        split: one it has.
        classes: those that labels go by, with all of the data set's; by default its own.
    """
    rows = data.rows(split)
    index = {name: number for number, name in enumerate(classes or data.classes)}
    labels = np.array([index[name] for name in rows["label"]], np.int64)
    return LabelledImages(split, data.paths(split), list(rows["path"]), labels)


def held_out_images(data: DataSet, classes: list[str] | None = None) -> list[LabelledImages]:
    """The validation and the test images of a data set, as far as it has some."""
    return [split_images(data, split, classes) for split in HELD_OUT if split in data.splits]


def labelled_folder(folder: Path, classes: list[str]) -> list[LabelledImages]:
    """The images of a folder: of a data set those held out, else all, in folders named by class.

    Args:
        folder: a data set folder, or one that holds a folder for each class, or for some.
        classes: class names of the model in index order; labels go by name.

    Raises:
        UserError: no such folder, no labelled images in it, or a class that the model lacks.
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
    index = {name: number for number, name in enumerate(classes)}
    records = list(read_class_folders(listing))
    return [
        LabelledImages(
            FOLDER_SPLIT,
            [record.path for record in records],
            [record.path.relative_to(folder).as_posix() for record in records],
            np.array([index[record.label] for record in records], np.int64),
        )
    ]


def _refuse_unknown(folder: Path, names: list[str], classes: list[str]) -> None:
    unknown = sorted(set(names) - set(classes))
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UserError(
            f"{folder} has the class {unknown[0]!r}{more}, which the run does not know (its first "
            f"is {classes[0]!r}); leave out or rename such folders"
        )
