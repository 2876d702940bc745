"""CUB-200-2011 as its archive unpacks: four or five lists beside a folder `images/`.

Wah et al. 2011, "The Caltech-UCSD Birds-200-2011 Dataset", CNS-TR-2011-001. NABirds has the same
lists.
"""

from collections.abc import Iterator

from finegrain.datasets.layouts.cub_extras import boxes, official_split
from finegrain.datasets.layouts.cub_files import (
    PREFIX,
    cub_folder,
    cub_folders,
    find_files,
    image_folder,
)
from finegrain.datasets.layouts.cub_lists import CLASSES, IMAGES, LABELS, IdList, read_id_list
from finegrain.datasets.layouts.layout import Layout, Record
from finegrain.datasets.layouts.listing import Listing
from finegrain.errors import UserError

DIGITS_OF_ID = 3


def matches(listing: Listing) -> bool:
    """The lists stand in the source or in a folder of it."""
    return bool(cub_folders(listing))


def read(listing: Listing) -> Iterator[Record]:
    """Yield the listed images under their ids.

    A class is called as in `classes.txt`, with its id before the name (`001.Black_footed_...`)
    where that is lacking, so that classes stand in the order of their ids. A listed image
    without a file becomes a problem; images that are not listed, and classes that have no file
    at all, as in a copy with fewer classes, are left out and told.

    Raises:
        UserError: a list is missing or damaged, an image has no class or one that is not
            listed, two classes have one name, or none of the listed images is there.
    """
    root = cub_folder(listing)
    images, classes, labels = (read_id_list(root, name) for name in (IMAGES, CLASSES, LABELS))
    files, not_listed = find_files(root, images)
    if not files:
        first = next(iter(images.values.values()))
        raise UserError(
            f"none of the {len(images.values)} images that {images.path} lists is there, such as "
            f"{image_folder(root) / first}; put the images where the archive has them"
        )
    names = _class_names(classes)
    class_of = {image: _class_of(image, images, classes, labels) for image in files}
    present = set(class_of.values())
    listing.not_listed += [(path, f"{IMAGES} does not list it") for path in not_listed]
    absent = [image for image in images.values if image not in files]
    listing.left_out += [
        (f"classes in {CLASSES} without an image", [names[c] for c in names if c not in present]),
        (
            f"ids in {IMAGES} without a file and a class",
            [image for image in absent if labels.values.get(image) not in names],
        ),
        (
            f"ids in {LABELS} that {IMAGES} does not list",
            [image for image in labels.values if image not in images.values],
        ),
    ]
    for image, path in files.items():
        yield Record(path, names[class_of[image]], image)
    for image in absent:
        category = labels.values.get(image)
        if category in present:
            path = image_folder(root) / images.values[image]
            yield Record(path, names[category], image, f"{IMAGES} lists it, but it is not there")


def _class_names(classes: IdList) -> dict[str, str]:
    """Class id -> class name."""
    names: dict[str, str] = {}
    id_of: dict[str, str] = {}
    for identity, value in classes.values.items():
        name = value if PREFIX.match(value) else f"{identity.zfill(DIGITS_OF_ID)}.{value}"
        other = id_of.setdefault(name, identity)
        if other != identity:
            raise UserError(
                f"lines {classes.lines[other]} and {classes.lines[identity]} of {classes.path} "
                f"have one class name, {name}; each class needs its own"
            )
        names[identity] = name
    return names


def _class_of(image: str, images: IdList, classes: IdList, labels: IdList) -> str:
    if image not in labels.values:
        raise UserError(
            f"the image {image} ({images.where(image)}) has no line in {labels.path}; add "
            "its class there or remove the image"
        )
    if labels.values[image] not in classes.values:
        raise UserError(
            f"{labels.where(image)} gives the image {image} the class {labels.values[image]}, "
            f"which {classes.path.name} does not list; add the class or remove the image"
        )
    return labels.values[image]


LAYOUT = Layout(
    "cub",
    "CUB-200-2011's images.txt and its fellows",
    matches,
    read,
    own_index=True,
    official_split=official_split,
    boxes=boxes,
)
