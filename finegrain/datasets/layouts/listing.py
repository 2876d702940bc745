"""What stands in a source folder, looked at once for all layouts."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from finegrain.datasets.class_names import natural_key
from finegrain.datasets.layouts.find_annotations import annotation_files, data_folder_of
from finegrain.decode import IMAGE_SUFFIXES
from finegrain.errors import UserError


@dataclass
class Listing:
    """The images of a source folder and of the folders in it, one level deep, in natural order.

    Attributes:
        folder: the source, or where the source is a JSON, the folder its images stand in.
        images: images in the source itself.
        folders: for each folder in the source, by name, its images.
        ignored: files that are no images, and everything whose name begins with a dot.
        unentered: folders inside those folders, which no layout looks into.
        broken_links: links that lead nowhere and are not named like images.
        annotation_files: the JSON that was given as the source, or those that it holds.
        left_out: what the layout's `read` found and did not yield: (what it is, names).
        not_listed: images that the layout's own index does not list, as (image, reason).
        notices: what else the layout's `read` has to tell, in sentences for the user.
    """

    folder: Path
    images: list[Path] = field(default_factory=list)
    folders: dict[str, list[Path]] = field(default_factory=dict)
    ignored: list[Path] = field(default_factory=list)
    unentered: list[Path] = field(default_factory=list)
    broken_links: list[Path] = field(default_factory=list)
    annotation_files: list[Path] = field(default_factory=list)
    left_out: list[tuple[str, list[str]]] = field(default_factory=list)
    not_listed: list[tuple[Path, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def in_folders(self) -> list[Path]:
        return [path for images in self.folders.values() for path in images]

    @property
    def all_images(self) -> list[Path]:
        return self.images + self.in_folders


def list_source(folder: Path) -> Listing:
    """List the images of a source folder; links to folders and files are followed.

    A source may also be a JSON of annotations, which lists its images itself.

    Raises:
        UserError: there is no such folder, or it or a folder in it may not be read.
    """
    if folder.is_file() and folder.suffix.lower() == ".json":
        return Listing(data_folder_of(folder), annotation_files=[folder])
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {what}; give the folder of photographs with --source")
    listing = Listing(folder, annotation_files=annotation_files(folder))
    for entry in _entries(folder):
        path = folder / entry.name
        if entry.name.startswith("."):
            listing.ignored.append(path)
        elif _is_folder(entry):
            listing.folders[entry.name] = _images_inside(path, listing)
        elif _named_like_an_image(entry):
            listing.images.append(path)
        elif entry.is_symlink() and not path.exists():
            listing.broken_links.append(path)
        else:
            listing.ignored.append(path)
    return listing


def _images_inside(folder: Path, listing: Listing) -> list[Path]:
    images = []
    for entry in _entries(folder):
        path = folder / entry.name
        if entry.name.startswith("."):
            listing.ignored.append(path)
        elif _is_folder(entry):
            listing.unentered.append(path)
        elif _named_like_an_image(entry):
            images.append(path)
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


def _named_like_an_image(entry: os.DirEntry[str]) -> bool:
    # Pipes and links that lead nowhere count: they are reported as unreadable.
    return Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
