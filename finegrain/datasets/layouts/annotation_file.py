"""The JSON of annotations that FGVC, iNaturalist and COCO share: find it, read it, its images.

    {"images": [{"id": 7, "file_name": "category_3/7.jpg"}, ...],
     "annotations": [{"image_id": 7, "category_id": 2}, ...],
     "categories": [{"id": 2, "name": "bluebell"}, ...]}

Files of test images have `images` only; some FGVC files have neither `images` nor `categories`.
"""

import json
import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from finegrain.errors import UserError
from finegrain.regular_file import open_regular, read_regular

# What FGVC, iNaturalist and COCO files of labelled images have in common.
KEYS = (b'"annotations"', b'"image_id"', b'"category_id"')
# Where more stand, they are notes beside each image and no table of all.
MOST_FILES = 20
# COCO keeps its JSON files in a folder of this name, beside the folders of images.
COCO_FOLDER = "annotations"
# The folder of images is found by so many of them; it may stand in one of this name.
SAMPLE = 100
COMMON_FOLDER = "images"

# (where it stands, such as "train.json: images[3]"; the object)
Entry = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class AnnotationFile:
    """What a JSON says, checked; every id is text, as a submission writes it."""

    path: Path
    images: dict[str, str | None]  # image id -> its file name, or None where none is given
    labels: dict[str, list[str]]  # image id -> its different category ids, as they are annotated
    # Category id -> its name, or None where none is given; None if the file has no such list.
    categories: dict[str, str | None] | None


def annotation_files(folder: Path) -> list[Path]:
    """The JSON files in a folder, or in its folder `annotations`, that label images by id."""
    found = []
    for place in (folder, folder / COCO_FOLDER):
        files = [path for path in place.glob("*.json") if not path.name.startswith(".")]
        if len(files) <= MOST_FILES:
            found += [path for path in sorted(files) if _labels_images(path)]
    return found


def data_folder_of(annotation_file: Path) -> Path:
    """The folder that a JSON's paths must stay in."""
    folder = annotation_file.parent
    return folder.parent if folder.name == COCO_FOLDER else folder


def _labels_images(path: Path) -> bool:
    try:
        with (
            open_regular(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
        ):
            return all(text.find(key) >= 0 for key in KEYS)
    except (OSError, ValueError):
        # Empty files cannot be mapped; what cannot be read is no annotation file of ours.
        return False


def read_annotation_file(path: Path) -> AnnotationFile:
    """Read a JSON and check that its parts fit together.

    Raises a `UserError` that names the entry which is damaged, lacks an id or repeats one, refers
    to something not listed, or leads out of the data folder.
    """
    content = _load(path)
    images = _by_id(path, content, "images")
    categories = _by_id(path, content, "categories")
    labels: dict[str, list[str]] = {}
    for where, entry in _entries(path, content, "annotations"):
        image, category = _id(entry, "image_id", where), _id(entry, "category_id", where)
        if images is not None and image not in images:
            raise UserError(
                f"{where} is for the image {image}, which `images` does not list; add the image "
                "or remove the annotation"
            )
        if categories is not None and category not in categories:
            raise UserError(
                f"{where} has the category_id {category}, which `categories` does not list; add "
                "the category or mend the annotation"
            )
        known = labels.setdefault(image, [])
        if category not in known:
            known.append(category)
    files: dict[str, str | None] = dict.fromkeys(labels)
    if images is not None:
        files = {image: _file_name(entry, where) for image, (where, entry) in images.items()}
    names = None
    if categories is not None:
        given = {category: entry.get("name") for category, (_, entry) in categories.items()}
        names = {i: name if isinstance(name, str) else None for i, name in given.items()}
    return AnnotationFile(path, files, labels, names)


def refuse_leaving(name: str, where: str) -> str:
    """Return a path, but refuse one that is absolute or goes upward on any operating system."""
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    if ".." in parts or re.match(r"[/\\]|[A-Za-z]:[/\\]", name):
        raise UserError(
            f"{where} has the file name {name!r}, which leads out of the data folder; paths must "
            "stay below it"
        )
    return name


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_regular(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged or no JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} must be an object with `images` and `annotations`, not a list")
    return content


def _entries(path: Path, content: dict[str, Any], key: str) -> Iterator[Entry]:
    entries = content.get(key) or []
    if not isinstance(entries, list):
        raise UserError(f"`{key}` in {path} is no list; correct the file")
    for row, entry in enumerate(entries):
        where = f"{path}: {key}[{row}]"
        if not isinstance(entry, dict):
            raise UserError(f"{where} is no object with an id; correct the file")
        yield where, entry


def _by_id(path: Path, content: dict[str, Any], key: str) -> dict[str, Entry] | None:
    if content.get(key) is None:
        return None
    found: dict[str, Entry] = {}
    for where, entry in _entries(path, content, key):
        identity = _id(entry, "id", where)
        other, _ = found.setdefault(identity, (where, entry))
        if other != where:
            shared = f"{where} has the id {identity}, as {other.rpartition(' ')[2]} has"
            raise UserError(f"{shared}; each needs one of its own")
    return found


def _id(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        raise UserError(f"{where} has no {key} that is a whole number or a text; correct the file")
    return str(value)


def _file_name(entry: dict[str, Any], where: str) -> str | None:
    name = entry.get("file_name")
    if name is None:
        return None
    if not isinstance(name, str) or not name:
        raise UserError(f"{where} has a file_name that is no text; correct the file")
    return refuse_leaving(name, where)


def image_folder(annotation_file: Path, root: Path, names: Sequence[str]) -> Path:
    """The folder that a JSON's file names count from.

    iNaturalist counts from the data folder, `root`; FGVC and COCO from a folder in it that is
    named like the JSON (`train` for `train.json`, `train2017` for `instances_train2017.json`). The
    one that holds the most images of a sample is it; at least one image must be there.
    """
    folders = _candidates(annotation_file, root)
    # Where none of the sample is there, one of all the names may be.
    for step in (max(1, len(names) // SAMPLE), 1):
        found = [sum((folder / name).is_file() for name in names[::step]) for folder in folders]
        if any(found):
            return folders[found.index(max(found))]
    raise UserError(
        f"none of the {len(names)} images that {annotation_file} names is there, such as "
        f"{names[0]} in {' or '.join(map(str, folders))}; put the JSON beside its images"
    )


def _candidates(annotation_file: Path, root: Path) -> list[Path]:
    stem = annotation_file.stem.lower()
    folders, common = [root], root / COMMON_FOLDER
    for place in (root, common):
        named = [path for path in place.glob("*") if path.is_dir() and path.name.lower() in stem]
        folders += sorted(named, key=lambda path: (-len(path.name), path))
    return [*folders, common] if common.is_dir() else folders
