"""A photograph twice: as people look at it, and as the model takes it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finegrain.decode import open_rgb, read_pixels

SHOWN_SIDE = 800


@dataclass(frozen=True)
class Photograph:
    """One image file, decoded.

    Attributes:
        path: the file.
        shown: (h, w, 3) uint8, RGB, with its own aspect ratio, of at most 800 pixels a side.
        pixels: (H, W, 3) uint8, RGB, of the model's size, by the same way as in training.
    """

    path: Path
    shown: np.ndarray
    pixels: np.ndarray


def read_photograph(path: Path, image_size: tuple[int, int]) -> Photograph:
    """Decode an image file for a person and for a model.

    Args:
        path: the file.
        image_size: (height, width) that the model takes.

    Raises:
        UnreadableImage: it cannot be decoded.
    """
    image = open_rgb(path, at_least=(SHOWN_SIDE, SHOWN_SIDE))
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return Photograph(path, np.asarray(image), read_pixels(path, image_size))
