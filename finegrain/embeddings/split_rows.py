"""What the rows of an exported split are."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Unreadable(NamedTuple):
    """An image without a row: its path, its id and why it could not be read."""

    path: str
    image_id: str
    reason: str


@dataclass(frozen=True)
class SplitRows:
    """What the rows of a split are, all in the same order.

    Attributes:
        paths: (N,) str, relative to the data set or folder.
        ids: (N,) str, what a submission calls the images.
        labels: (N,) class indices, -1 without a label.
        groups: (N,) numbers of groups of duplicates, 0 for none.
        views: (N,) numbers of the views.
        unreadable: images without a row.
    """

    paths: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    views: np.ndarray
    unreadable: list[Unreadable]
