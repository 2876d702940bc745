"""What CUB-200-2011 brings along besides labels: its official split, and a box an image."""

import math
from collections.abc import Collection

from finegrain.datasets.layouts.cub_files import cub_folder
from finegrain.datasets.layouts.cub_lists import BOXES, FORMS, IMAGES, SPLIT, IdList, read_id_list
from finegrain.datasets.layouts.layout import Box, OfficialSplit, Record
from finegrain.datasets.layouts.listing import Listing
from finegrain.errors import UserError

PARTS = {"1": "train", "0": "test"}


def official_split(listing: Listing, records: Collection[Record]) -> OfficialSplit:
    """Read `train_test_split.txt`.

    Raises:
        UserError: the list is missing or damaged, or an image has no line in it.
    """
    lines = _list_of(SPLIT, listing, records, "give --split seeded")
    for image, part in lines.values.items():
        if part not in PARTS:
            raise UserError(f"{lines.where(image)} has {part!r}, not {FORMS[SPLIT]}; mend it")
    parts = {record.id: PARTS[lines.values[record.id]] for record in records if not record.problem}
    return OfficialSplit(lines.path, parts)


def boxes(listing: Listing, records: Collection[Record]) -> dict[str, Box]:
    """Read `bounding_boxes.txt`: image id -> its box.

    Raises:
        UserError: the list is missing or damaged, or an image has no line in it.
    """
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
    try:
        left, top, width, height = map(float, lines.values[image].split())
    except ValueError:
        left = width = top = height = math.nan
    if not all(map(math.isfinite, (left, top, width, height))):
        raise UserError(
            f"{lines.where(image)} has {lines.values[image]!r}, not {FORMS[BOXES]}; mend it"
        )
    return Box(left, top, width, height, lines.where(image))
