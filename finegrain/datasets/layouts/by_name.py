"""The layouts that go by names alone: of class folders, or of files that carry their class."""

import re
from collections.abc import Iterator

from finegrain.datasets.layouts.layout import Layout, Listing, Record
from finegrain.errors import UserError

TRAINING_PART = re.compile(r"train(ing)?", re.IGNORECASE)
OTHER_PART = re.compile(r"(test(ing)?|val(id|idation)?|eval)[-_]?[0-9]*", re.IGNORECASE)


def read_class_folders(listing: Listing) -> Iterator[Record]:
    """Yield the images in folders; refuse a broken link, and folders that are parts of a set."""
    if listing.broken_links:
        link = listing.broken_links[0]
        raise UserError(
            f"the class folder {link} is a link to {link.readlink()}, which is not there; "
            "mend or remove the link"
        )
    training = [name for name in listing.folders if TRAINING_PART.fullmatch(name)]
    others = [name for name in listing.folders if OTHER_PART.fullmatch(name)]
    if training and (others or len(listing.folders) == 1):
        parts = " and ".join(f"{name}/" for name in training + others)
        raise UserError(
            f"{listing.folder} holds {parts}, which are parts of a data set and not classes; "
            f"name the labelled part: --source {listing.folder / training[0]}"
        )
    if not listing.in_folders:
        raise UserError(
            f"{listing.folder} holds no folders with images, one a class; give the folder that "
            "does with --source, or another --layout"
        )
    for label, images in listing.folders.items():
        for path in images:
            yield Record(path, label, path.stem)


def named_files(name: str, example: str, pattern: str) -> Layout:
    """A layout whose images stand side by side in the source and carry their class in the name.

    It matches where most names fit, so that a single stray is named as an error instead of
    hiding the layout. The groups of `pattern`, for a name without its suffix, are label and id.
    """
    fits = re.compile(pattern).fullmatch

    def matches(listing: Listing) -> bool:
        fitting = sum(fits(path.stem) is not None for path in listing.images)
        return len(listing.images) >= len(listing.in_folders) and 2 * fitting > len(listing.images)

    def read(listing: Listing) -> Iterator[Record]:
        if not listing.images:
            raise UserError(
                f"{listing.folder} itself holds no images named {example}; give the folder that "
                "does with --source, or another --layout"
            )
        found = [(path, fits(path.stem)) for path in listing.images]
        strays = [path.name for path, told in found if told is None]
        if strays:
            more = f" and {len(strays) - 1} more" if len(strays) > 1 else ""
            raise UserError(
                f"the file name {strays[0]}{more} in {listing.folder} does not tell its class as "
                f"{example} does; rename it or move it away"
            )
        yield from (Record(path, told[1], told[2]) for path, told in found if told is not None)

    return Layout(name, example, matches, read)


CLASS_FOLDERS = Layout(
    "class_folders",
    "class/anything.jpg",
    lambda listing: len(listing.in_folders) > len(listing.images),
    read_class_folders,
)
# `cat.17` is image 17 of the class cat, `30_a1b2` image a1b2 of the class 30.
TYPE_NUM = named_files("type_num", "type.num.jpg", r"(.+)\.([0-9]+)")
TYPEID_RANDHASH = named_files("typeid_randhash", "typeid_randhash.jpg", r"(?s)(.+)_([^_]+)")
