"""Where the images of a JSON stand: its file names may count from several folders."""

from collections.abc import Sequence
from pathlib import Path

from finegrain.errors import UserError

SAMPLE = 100
COMMON_FOLDER = "images"


def image_folder(annotation_file: Path, root: Path, names: Sequence[str]) -> Path:
    """The folder that a JSON's file names count from.

    iNaturalist counts from the data folder; FGVC and COCO from a folder in it that is named like
    the JSON (`train` for `train.json`, `train2017` for `instances_train2017.json`). The one that
    holds the most images of a sample is it.

    Args:
        annotation_file: the JSON.
        root: the data folder.
        names: the file names, relative, all inside the data folder.

    Raises:
        UserError: none of the names is there.
    """
    folders = _candidates(annotation_file, root)
    step = max(1, len(names) // SAMPLE)
    found = [sum((folder / name).is_file() for name in names[::step]) for folder in folders]
    if any(found):
        return folders[found.index(max(found))]
    for folder in folders:
        if any((folder / name).is_file() for name in names):
            return folder
    raise UserError(
        f"none of the {len(names)} images that {annotation_file} names is there, such as "
        f"{names[0]} in {' or '.join(map(str, folders))}; put the JSON beside its images"
    )


def _candidates(annotation_file: Path, root: Path) -> list[Path]:
    stem = annotation_file.stem.lower()
    folders = [root]
    for place in (root, root / COMMON_FOLDER):
        inside = sorted(path for path in place.glob("*") if path.is_dir())
        named = [path for path in inside if path.name.lower() in stem]
        folders += sorted(named, key=lambda path: -len(path.name))
    if (root / COMMON_FOLDER).is_dir():
        folders.append(root / COMMON_FOLDER)
    return folders
