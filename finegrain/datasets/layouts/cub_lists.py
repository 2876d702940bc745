"""The lists of CUB-200-2011, a line an id, where they stand, and the files that they mean."""

import re
from collections import defaultdict
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path, PurePosixPath

from finegrain.datasets.layouts.annotation_file import refuse_leaving
from finegrain.datasets.layouts.layout import Listing, list_source
from finegrain.errors import UserError
from finegrain.regular_file import open_regular

IMAGES, CLASSES, LABELS = "images.txt", "classes.txt", "image_class_labels.txt"
SPLIT, BOXES = "train_test_split.txt", "bounding_boxes.txt"

# What stands on a line of each list.
FORMS = {
    IMAGES: "<image id> <folder/file>",
    CLASSES: "<class id> <class name>",
    LABELS: "<image id> <class id>",
    SPLIT: "<image id> <1 for training, 0 for test>",
    BOXES: "<image id> <left> <top> <width> <height>",
}
# So many of the lists show what a folder is meant to be, so that a missing one can be named.
ENOUGH_LISTS = 3
PREFIX = re.compile(r"[0-9]+\.")


@dataclass(frozen=True)
class IdList:
    """One of the lists: id -> what belongs to it, and the line where it stands."""

    path: Path
    values: dict[str, str]
    lines: dict[str, int]

    def where(self, identity: str) -> str:
        return f"line {self.lines[identity]} of {self.path}"


def read_id_list(root: Path, name: str) -> IdList:
    """Read a list; refuse it missing or empty, with a malformed line, or with an id there twice."""
    path = root / name
    found = IdList(path, {}, {})
    for number, line in enumerate(_lines(path), start=1):
        identity, *value = line.split(maxsplit=1) or [""]
        if not identity:
            continue
        if not value:
            raise UserError(
                f"line {number} of {path} is {line.strip()[:80]!r}, not {FORMS[name]}; mend it"
            )
        if identity in found.lines:
            raise UserError(
                f"lines {found.lines[identity]} and {number} of {path} have one id, {identity}; "
                "keep one of them"
            )
        found.values[identity], found.lines[identity] = value[0].strip(), number
    if not found.values:
        raise UserError(f"{path} is empty; unpack the archive again")
    return found


def _lines(path: Path) -> list[str]:
    try:
        with TextIOWrapper(open_regular(path), encoding="utf-8-sig") as file:
            return list(file)
    except FileNotFoundError as error:
        others = ", ".join(name for name in (IMAGES, CLASSES, LABELS) if name != path.name)
        raise UserError(
            f"{path} is missing, which belongs with {others}; unpack the archive again"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UserError(f"{path} cannot be read: {reason}") from error


def cub_folders(listing: Listing) -> list[Path]:
    """The source if the lists stand in it, else those of its folders in which they stand."""
    inside = [listing.folder / name for name in listing.folders]
    for places in ([listing.folder], inside):
        counts = {place: sum((place / name).is_file() for name in FORMS) for place in places}
        if found := [place for place, count in counts.items() if count >= ENOUGH_LISTS]:
            return found
    return []


def cub_folder(listing: Listing) -> Path:
    """The one folder of lists; the source itself where there is none. Refuses several."""
    found = cub_folders(listing)
    if len(found) > 1:
        raise UserError(
            f"{listing.folder} holds several CUB folders "
            f"({', '.join(path.name for path in found[:5])}); name one: --source {found[0]}"
        )
    return found[0] if found else listing.folder


def image_folder(root: Path) -> Path:
    folder = root / "images"
    return folder if folder.is_dir() else root


def find_files(root: Path, images: IdList) -> tuple[dict[str, Path], list[Path]]:
    """Image id -> its file, of the images that are there; and the images that no line lists.

    A folder is also found where only the list or only the disk has its `001.` prefix. Raises a
    `UserError` if a line leads out of the folder, fits several files, or shares one with another.
    """
    shelf = list_source(image_folder(root))
    exact = {(path.parent.name, path.name): path for path in shelf.in_folders}
    exact |= {("", path.name): path for path in shelf.images}
    loose = defaultdict(list)
    for (folder, name), path in exact.items():
        loose[_without_prefix(folder), name].append(path)
    taken: dict[Path, str] = {}
    for identity, value in images.values.items():
        listed = PurePosixPath(refuse_leaving(value, images.where(identity)))
        folder, name = listed.parent.name, listed.name
        fitting = loose[_without_prefix(folder), name]
        if (folder, name) in exact:
            fitting = [exact[folder, name]]
        if len(fitting) > 1:
            raise UserError(
                f"{images.where(identity)} fits two images, {fitting[0]} and {fitting[1]}; write "
                "the whole folder name"
            )
        for path in fitting:
            if (other := taken.setdefault(path, identity)) != identity:
                raise UserError(
                    f"{images.where(other)} and line {images.lines[identity]} mean one image, "
                    f"{path}; keep one of them"
                )
    files = {identity: path for path, identity in taken.items()}
    return files, [path for path in shelf.all_images if path not in taken]


def _without_prefix(name: str) -> str:
    """`Laysan_Albatross` of `002.Laysan_Albatross`."""
    return PREFIX.sub("", name, count=1)
