"""Cut photographs to the boxes that their source draws around the objects.

Duplicates are looked for, and a seeded split is drawn, on the whole photographs: two birds cut
from one photograph show one background, and a split with crops is the split without them.
"""

import hashlib
import io
import math
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from finegrain.datasets.gather import Unreadable
from finegrain.datasets.layouts.layout import Box, Layout, Listing, Record
from finegrain.decode import UnreadableImage, open_rgb
from finegrain.errors import UserError
from finegrain.read_ahead import over_images

# Left, top, right and bottom, in pixels of the upright photograph; right and bottom lie outside.
Edges = tuple[int, int, int, int]
# The column of a table that holds each image's `Edges`.
CROP = "crop"
JPEG_SUFFIXES = (".jpg", ".jpeg")
# Boxes drawn by hand often end a fraction of a pixel outside; that is no news.
TOLERANCE = 1.0

JPEG_QUALITY = 95
# Colours at full resolution: feathers differ in small coloured marks.
JPEG_SUBSAMPLING = "4:4:4"


def read_boxes(
    listing: Listing, layout: Layout, records: Collection[Record], crop: str
) -> dict[str, Box] | None:
    """Boxes by image id, None if `crop` is `none`; a `UserError` if missing or damaged."""
    if crop == "none":
        return None
    if layout.boxes is None:
        raise UserError(
            f"the layout {layout.name} brings no boxes along, so --crop boxes has nothing to go "
            "by; leave it away"
        )
    return layout.boxes(listing, records)


def box_edges(box: Box, size: tuple[int, int], margin: float) -> Edges | None:
    """The whole pixels that a box with its margin touches, inside the photograph.

    `size` is that of the upright photograph, `margin` the share of the box's width and height
    that is added on each side. None where no part of the box itself lies in the photograph.
    """
    width, height = size
    right, bottom = box.left + box.width, box.top + box.height
    across, down = min(right, width) - max(box.left, 0), min(bottom, height) - max(box.top, 0)
    if min(box.width, box.height, across, down) <= 0:
        return None
    more_x, more_y = margin * box.width, margin * box.height
    return (
        math.floor(max(box.left - more_x, 0)),
        math.floor(max(box.top - more_y, 0)),
        math.ceil(min(right + more_x, width)),
        math.ceil(min(bottom + more_y, height)),
    )


def place_boxes(
    table: pd.DataFrame, boxes: Mapping[str, Box], margin: float
) -> tuple[pd.DataFrame, Unreadable, list[str]]:
    """The table of `gather_images` with the column `crop`, what to cut out of each photograph.

    It lacks the images whose box leaves nothing: these come second, with the reason. Third come
    the images whose box had to be clipped.
    """
    crops, nothing_left, clipped = [], [], []
    for row in table.itertuples():
        box, size = boxes[row.image_id], (row.width, row.height)
        crops.append(box_edges(box, size, margin))
        if crops[-1] is None:
            reason = f"its box in {box.where} leaves nothing of its {size[0]} x {size[1]} pixels"
            nothing_left.append((row.source, reason))
        elif _sticks_out(box, size):
            clipped.append(f"{row.source}: {box.where}")
    kept = [edges is not None for edges in crops]
    table = table.assign(**{CROP: pd.Series(crops, table.index, dtype=object)})[kept]
    return table.reset_index(drop=True), nothing_left, clipped


def make_crops(table: pd.DataFrame, workers: int | None = None) -> pd.DataFrame:
    """The table with `name`, `sha1`, `bytes`, `width` and `height` of the crops themselves."""
    tasks = list(zip(map(Path, table["file"]), table[CROP], strict=True))
    made = list(over_images(_sum_and_size, tasks, "cropping", workers))
    return table.assign(
        name=[n if n.lower().endswith(JPEG_SUFFIXES) else f"{n}.jpg" for n in table["name"]],
        sha1=[sha1 for sha1, _ in made],
        bytes=[size for _, size in made],
        width=[right - left for left, _, right, _ in table[CROP]],
        height=[bottom - top for _, top, _, bottom in table[CROP]],
    )


def crop_jpeg(path: Path, edges: Edges, expected_sha1: str | None = None) -> bytes:
    """The JPEG, RGB, of the part of an upright photograph inside `edges`; refused if changed.

    The same photograph and edges give the same bytes with the same release of Pillow.
    """
    try:
        part = open_rgb(path).crop(edges)
    except UnreadableImage as unreadable:
        gone = f"{path} could be read before and now cannot ({unreadable})"
        raise UserError(f"{gone}; start the same command again") from unreadable
    written = io.BytesIO()
    part.save(written, "JPEG", quality=JPEG_QUALITY, subsampling=JPEG_SUBSAMPLING)
    content = written.getvalue()
    if expected_sha1 is not None and hashlib.sha1(content).hexdigest() != expected_sha1:
        raise UserError(f"{path} was changed meanwhile; start the same command again")
    return content


def _sum_and_size(task: tuple[Path, Edges]) -> tuple[str, int]:
    content = crop_jpeg(*task)
    return hashlib.sha1(content).hexdigest(), len(content)


def _sticks_out(box: Box, size: tuple[int, int]) -> bool:
    beyond = (box.left + box.width - size[0], box.top + box.height - size[1])
    return max(-box.left, -box.top, *beyond) > TOLERANCE
