"""A layout: a way in which folders and file names, listed once, tell the class of a photograph."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from finegrain.datasets.class_names import natural_key
from finegrain.datasets.layouts.annotation_file import annotation_files, data_folder_of
from finegrain.decode import IMAGE_SUFFIXES
from finegrain.errors import UserError


@dataclass
class Listing:
    """The images of a source folder and of the folders in it, one level deep, in natural order."""

    folder: Path  # the source, or where it is a JSON, the folder its images stand in
    images: list[Path] = field(default_factory=list)  # in the source itself
    folders: dict[str, list[Path]] = field(default_factory=dict)  # by name, and their images
    # Files that are no images, and everything whose name begins with a dot.
    ignored: list[Path] = field(default_factory=list)
    unentered: list[Path] = field(default_factory=list)  # folders inside those folders
    # Links that lead nowhere and are not named like images.
    broken_links: list[Path] = field(default_factory=list)
    # The JSON that was given as the source, or those that it holds.
    annotation_files: list[Path] = field(default_factory=list)
    # The rest is added by the layout's `read`. What was found and not yielded: (what it is, names).
    left_out: list[tuple[str, list[str]]] = field(default_factory=list)
    # Images that the layout's own index does not list, with the reason.
    not_listed: list[tuple[Path, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)  # sentences for the user

    @property
    def in_folders(self) -> list[Path]:
        return [path for images in self.folders.values() for path in images]

    @property
    def all_images(self) -> list[Path]:
        return self.images + self.in_folders


# One for all records that have none: there may be a million.
NO_COLUMNS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled photograph of a source, before anybody has opened it."""

    path: Path
    label: str
    id: str
    problem: str | None = None  # why there is nothing to open of what the source names
    category_id: str | None = None  # what submissions call the class, where not by its name
    rename: str | None = None  # its file name in the data set, where it gets another
    part: str | None = None  # `query` or `gallery`: for retrieval only, and no class to learn
    # Further ones of the manifest.
    columns: Mapping[str, str] = field(default_factory=lambda: NO_COLUMNS)

    @property
    def file_name(self) -> str:
        return self.rename or self.path.name


@dataclass(frozen=True)
class Box:
    """Where an object is, in pixels of the upright photograph, against which nothing is checked."""

    left: float
    top: float
    width: float
    height: float
    where: str  # names the line that says so


@dataclass(frozen=True)
class OfficialSplit:
    """A split that the source brings along: image id -> `train` or `test`, and its file."""

    path: Path
    part_of: dict[str, str]


@dataclass(frozen=True)
class Layout:
    """A row of the table of layouts.

    `matches` looks at names only and is cheap; `read` yields the records in any order and raises
    `UserError` where the source breaks the layout's own rules. With `own_index` the layout knows
    by a file or names of folders which images are its own; nothing else below the source matters.
    A split or boxes, where it has them, are read when wanted, for every record without a problem.
    """

    name: str
    example: str
    matches: Callable[[Listing], bool]
    read: Callable[[Listing], Iterator[Record]]
    own_index: bool = False
    official_split: Callable[[Listing, Collection[Record]], OfficialSplit] | None = None
    boxes: Callable[[Listing, Collection[Record]], dict[str, Box]] | None = None


def list_source(folder: Path) -> Listing:
    """List the images of a source folder, links followed; a JSON of annotations lists its own."""
    if folder.is_file() and folder.suffix.lower() == ".json":
        return Listing(data_folder_of(folder), annotation_files=[folder])
    if not folder.is_dir():
        fault = "is a file, not a folder" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {fault}; give the folder of photographs with --source")
    listing = Listing(folder, annotation_files=annotation_files(folder))
    listing.images += _images_in(folder, listing)
    return listing


def _images_in(folder: Path, listing: Listing) -> list[Path]:
    images = []
    is_source = folder == listing.folder
    for entry in _entries(folder):
        path = folder / entry.name
        if entry.name.startswith("."):
            listing.ignored.append(path)
        elif _is_folder(entry) and is_source:
            listing.folders[entry.name] = _images_in(path, listing)
        elif _is_folder(entry):
            listing.unentered.append(path)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            # Pipes and links that lead nowhere count: they are reported as unreadable.
            images.append(path)
        elif is_source and entry.is_symlink() and not path.exists():
            listing.broken_links.append(path)
        else:
            listing.ignored.append(path)
    return images


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: natural_key(entry.name))
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads round in a circle.
        return False
