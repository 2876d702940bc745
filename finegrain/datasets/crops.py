"""Cut photographs to the boxes that their source draws around the objects.

Duplicates are looked for, and a seeded split is drawn, on the whole photographs: two birds cut
from one photograph show one background, and a split with crops is the split without them.
"""

import hashlib
import math
import sys
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from finegrain.datasets.crop_file import Edges, crop_jpeg
from finegrain.datasets.gather import Unreadable
from finegrain.datasets.layouts import Box, Layout, Listing, Record
from finegrain.datasets.scan import AHEAD, MOST_THREADS
from finegrain.errors import UserError
from finegrain.read_ahead import read_ahead, usable_cores

# The column of a table that holds each image's `Edges`.
CROP = "crop"
JPEG_SUFFIXES = (".jpg", ".jpeg")
# Boxes drawn by hand often end a fraction of a pixel outside; that is no news.
TOLERANCE = 1.0


def read_boxes(
    listing: Listing, layout: Layout, records: Collection[Record], crop: str
) -> dict[str, Box] | None:
    """The boxes of a source by image id if crops are wanted, else None.

    Args:
        crop: `none` or `boxes`.

    Raises:
        UserError: the layout has no boxes, or they are missing or damaged.
    """
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

    Args:
        box: where the object is.
        size: width and height of the upright photograph.
        margin: share of the box's width and height that is added on each side.

    Returns:
        The edges, or None where no part of the box itself lies in the photograph.
    """
    width, height = size
    right, bottom = box.left + box.width, box.top + box.height
    across = min(right, width) - max(box.left, 0)
    down = min(bottom, height) - max(box.top, 0)
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
    """Tell for each photograph which part is to be cut out.

    Args:
        table: from `gather_images`.
        boxes: image id -> its box.
        margin: see `box_edges`.

    Returns:
        The table with the column `crop`, without the images whose box leaves nothing; these,
        with the reason; and the images whose box had to be clipped.
    """
    crops, nothing_left, clipped = [], [], []
    for row in table.itertuples():
        box, size = boxes[row.image_id], (row.width, row.height)
        edges = box_edges(box, size, margin)
        crops.append(edges)
        if edges is None:
            reason = f"its box in {box.where} leaves nothing of its {size[0]} x {size[1]} pixels"
            nothing_left.append((row.source, reason))
        elif _sticks_out(box, size):
            clipped.append(f"{row.source}: {box.where}")
    kept = [edges is not None for edges in crops]
    table = table.assign(**{CROP: pd.Series(crops, table.index, dtype=object)})[kept]
    return table.reset_index(drop=True), nothing_left, clipped


def make_crops(table: pd.DataFrame, workers: int | None = None) -> pd.DataFrame:
    """Learn what the files of the crops will be, with several threads and a progress bar.

    Args:
        table: from `place_boxes`.
        workers: threads; None is one a core, eight at most.

    Returns:
        The table with `name`, `sha1`, `bytes`, `width` and `height` of the crops instead of the
        photographs.
    """
    workers = workers or min(usable_cores(), MOST_THREADS)
    interval = 0.2 if sys.stderr.isatty() else 10.0
    tasks = list(zip(table["file"], table[CROP], strict=True))
    with closing(read_ahead(_sum_and_size, tasks, workers, AHEAD * workers)) as coming:
        made = list(tqdm(coming, "cropping", len(tasks), unit=" images", mininterval=interval))
    return table.assign(
        name=[_jpeg_name(name) for name in table["name"]],
        sha1=[sha1 for sha1, _ in made],
        bytes=[size for _, size in made],
        width=[right - left for left, _, right, _ in table[CROP]],
        height=[bottom - top for _, top, _, bottom in table[CROP]],
    )


def _sum_and_size(task: tuple[Path, Edges]) -> tuple[str, int]:
    content = crop_jpeg(*task)
    return hashlib.sha1(content).hexdigest(), len(content)


def _jpeg_name(name: str) -> str:
    return name if name.lower().endswith(JPEG_SUFFIXES) else f"{name}.jpg"


def _sticks_out(box: Box, size: tuple[int, int]) -> bool:
    beyond = (box.left + box.width - size[0], box.top + box.height - size[1])
    return max(-box.left, -box.top, *beyond) > TOLERANCE
