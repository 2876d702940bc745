"""`class/anything.jpg`: a folder per class."""

import re
from collections.abc import Iterator

from finegrain.datasets.layouts.layout import Layout, Record
from finegrain.datasets.layouts.listing import Listing
from finegrain.errors import UserError

TRAINING_PART = re.compile(r"train(ing)?", re.IGNORECASE)
OTHER_PART = re.compile(r"(test(ing)?|val(id|idation)?|eval)[-_]?[0-9]*", re.IGNORECASE)


def matches(listing: Listing) -> bool:
    """More images stand in folders than beside them."""
    return len(listing.in_folders) > len(listing.images)


def read(listing: Listing) -> Iterator[Record]:
    """Yield the images of each folder; loose images beside the folders have no class.

    Raises:
        UserError: a class folder is a broken link, or the folders are the parts of a data set.
    """
    if listing.broken_links:
        link = listing.broken_links[0]
        raise UserError(
            f"the class folder {link} is a link to {link.readlink()}, which is not there; "
            "mend or remove the link"
        )
    refuse_parts(listing)
    if not listing.in_folders:
        raise UserError(
            f"{listing.folder} holds no folders with images, one a class; give the folder that "
            "does with --source, or another --layout"
        )
    for label, images in listing.folders.items():
        for path in images:
            yield Record(path, label, path.stem)


def refuse_parts(listing: Listing) -> None:
    """Refuse `train/` and `test/` as classes.

    Raises:
        UserError: the source holds a training folder and another part of a data set.
    """
    training = [name for name in listing.folders if TRAINING_PART.fullmatch(name)]
    others = [name for name in listing.folders if OTHER_PART.fullmatch(name)]
    if training and (others or len(listing.folders) == 1):
        parts = " and ".join(f"{name}/" for name in training + others)
        raise UserError(
            f"{listing.folder} holds {parts}, which are parts of a data set and not classes; "
            f"name the labelled part: --source {listing.folder / training[0]}"
        )


LAYOUT = Layout("class_folders", "class/anything.jpg", matches, read)
