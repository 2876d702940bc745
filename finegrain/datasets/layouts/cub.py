"""CUB-200-2011 as its archive unpacks, and NABirds: labels, an official split, a box an image.

Wah et al. 2011, "The Caltech-UCSD Birds-200-2011 Dataset", CNS-TR-2011-001.
"""

import contextlib
import math
from collections.abc import Collection, Iterator

from finegrain.datasets.layouts.cub_lists import (
    BOXES,
    CLASSES,
    FORMS,
    IMAGES,
    LABELS,
    PREFIX,
    SPLIT,
    IdList,
    cub_folder,
    cub_folders,
    find_files,
    image_folder,
    read_id_list,
)
from finegrain.datasets.layouts.layout import Box, Layout, Listing, OfficialSplit, Record
from finegrain.errors import UserError

DIGITS_OF_ID = 3
PARTS = {"1": "train", "0": "test"}


def read(listing: Listing) -> Iterator[Record]:
    """Yield the listed images under their ids.

    A class is called as in `classes.txt`, its id put before (`001.Black_footed_...`) where that
    is lacking, so that classes stand in the order of their ids. A listed image without a file
    becomes a problem; unlisted images, and classes without any file, are left out and told. Raises
    a `UserError` if a list is missing or damaged, an image has no listed class, two classes share
    a name, or no image is there.
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
    unknown = [image for image in absent if labels.values.get(image) not in names]
    strangers = [image for image in labels.values if image not in images.values]
    listing.left_out += [
        (f"classes in {CLASSES} without an image", [names[c] for c in names if c not in present]),
        (f"ids in {IMAGES} without a file and a class", unknown),
        (f"ids in {LABELS} that {IMAGES} does not list", strangers),
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
    id_of: dict[str, str] = {}
    for identity, value in classes.values.items():
        name = value if PREFIX.match(value) else f"{identity.zfill(DIGITS_OF_ID)}.{value}"
        if (other := id_of.setdefault(name, identity)) != identity:
            raise UserError(
                f"lines {classes.lines[other]} and {classes.lines[identity]} of {classes.path} "
                f"have one class name, {name}; each class needs its own"
            )
    return {identity: name for name, identity in id_of.items()}


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


def official_split(listing: Listing, records: Collection[Record]) -> OfficialSplit:
    """Read `train_test_split.txt`; refuse it missing, damaged, or without a line for an image."""
    lines = _list_of(SPLIT, listing, records, "give --split seeded")
    for image, part in lines.values.items():
        if part not in PARTS:
            raise UserError(f"{lines.where(image)} has {part!r}, not {FORMS[SPLIT]}; mend it")
    parts = {record.id: PARTS[lines.values[record.id]] for record in records if not record.problem}
    return OfficialSplit(lines.path, parts)


def boxes(listing: Listing, records: Collection[Record]) -> dict[str, Box]:
    """Read `bounding_boxes.txt`, image id -> its box; refuse it as `official_split` does."""
    lines = _list_of(BOXES, listing, records, "leave --crop boxes away")
    return {record.id: _box(record.id, lines) for record in records if not record.problem}


def _list_of(name: str, listing: Listing, records: Collection[Record], way_out: str) -> IdList:
    root = cub_folder(listing)
    if not (root / name).is_file():
        raise UserError(f"{root / name} is missing; unpack the archive again or {way_out}")
    lines, images = read_id_list(root, name), read_id_list(root, IMAGES)
    for record in records:
        if not record.problem and record.id not in lines.values:
            raise UserError(
                f"the image {record.id} ({images.where(record.id)}) has no line in {lines.path}; "
                f"add it or {way_out}"
            )
    strangers = [image for image in lines.values if image not in images.values]
    listing.left_out.append((f"ids in {name} that {IMAGES} does not list", strangers))
    return lines


def _box(image: str, lines: IdList) -> Box:
    where, value = lines.where(image), lines.values[image]
    with contextlib.suppress(ValueError):
        left, top, width, height = map(float, value.split())
        if all(map(math.isfinite, (left, top, width, height))):
            return Box(left, top, width, height, where)
    raise UserError(f"{where} has {value!r}, not {FORMS[BOXES]}; mend it")


LAYOUT = Layout(
    "cub",
    "CUB-200-2011's images.txt and its fellows",
    lambda listing: bool(cub_folders(listing)),
    read,
    own_index=True,
    official_split=official_split,
    boxes=boxes,
)
