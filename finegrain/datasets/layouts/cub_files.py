"""Where a CUB folder stands, and which file each line of its `images.txt` means."""

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

from finegrain.datasets.layouts.annotation_file import refuse_leaving
from finegrain.datasets.layouts.cub_lists import BOXES, CLASSES, IMAGES, LABELS, SPLIT, IdList
from finegrain.datasets.layouts.listing import Listing, list_source
from finegrain.errors import UserError

LISTS = (IMAGES, CLASSES, LABELS, SPLIT, BOXES)
# So many of the lists show what a folder is meant to be, so that a missing one can be named.
ENOUGH_LISTS = 3
PREFIX = re.compile(r"[0-9]+\.")


def cub_folders(listing: Listing) -> list[Path]:
    """The source if the lists stand in it, else those of its folders in which they stand."""
    inside = [listing.folder / name for name in listing.folders]
    for places in ([listing.folder], inside):
        found = [
            place
            for place in places
            if sum((place / name).is_file() for name in LISTS) >= ENOUGH_LISTS
        ]
        if found:
            return found
    return []


def cub_folder(listing: Listing) -> Path:
    """The one folder of lists; the source itself where there is none.

    Raises:
        UserError: there are several.
    """
    found = cub_folders(listing)
    if len(found) > 1:
        raise UserError(
            f"{listing.folder} holds several CUB folders "
            f"({', '.join(path.name for path in found[:5])}); name one: --source {found[0]}"
        )
    return found[0] if found else listing.folder


def without_prefix(name: str) -> str:
    """`Laysan_Albatross` of `002.Laysan_Albatross`."""
    return PREFIX.sub("", name, count=1)


def image_folder(root: Path) -> Path:
    folder = root / "images"
    return folder if folder.is_dir() else root


def find_files(root: Path, images: IdList) -> tuple[dict[str, Path], list[Path]]:
    """Match the lines of `images.txt` with the files that are there.

    A folder is also found where only the list or only the disk has its `001.` prefix.

    Returns:
        Image id -> its file, of the images that are there; and the images that no line lists.

    Raises:
        UserError: a line leads out of the folder, fits several files, or shares its file with
            another line.
    """
    shelf = list_source(image_folder(root))
    exact = {(path.parent.name, path.name): path for path in shelf.in_folders}
    exact |= {("", path.name): path for path in shelf.images}
    loose = defaultdict(list)
    for (folder, name), path in exact.items():
        loose[without_prefix(folder), name].append(path)
    files: dict[str, Path] = {}
    taken: dict[Path, str] = {}
    for identity, value in images.values.items():
        listed = PurePosixPath(refuse_leaving(value, images.where(identity)))
        folder, name = listed.parent.name, listed.name
        fitting = loose[without_prefix(folder), name]
        if (folder, name) in exact:
            fitting = [exact[folder, name]]
        if len(fitting) > 1:
            raise UserError(
                f"{images.where(identity)} fits two images, {fitting[0]} and {fitting[1]}; write "
                "the whole folder name"
            )
        if not fitting:
            continue
        other = taken.setdefault(fitting[0], identity)
        if other != identity:
            raise UserError(
                f"{images.where(other)} and line {images.lines[identity]} mean one image, "
                f"{fitting[0]}; keep one of them"
            )
        files[identity] = fitting[0]
    return files, [path for path in shelf.all_images if path not in taken]
