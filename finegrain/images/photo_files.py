"""Pixels of photographs by number, decoded from their files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from finegrain.decode import UnreadableImage, read_pixels
from finegrain.errors import UserError


class PixelSource(Protocol):
    """Where the pixels of N photographs come from; threads may share one."""

    def read(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 pixels, RGB 0 to 255, of photograph `index`, 0 to N - 1."""


class PhotoFiles:
    """Photographs decoded anew each time.

    Args:
        paths: N image files.
        image_size: (height, width) in pixels.
    """

    def __init__(self, paths: Sequence[Path], image_size: tuple[int, int]):
        self.paths = list(paths)
        self.image_size = image_size

    def read(self, index: int) -> np.ndarray:
        """Decode one photograph.

        Args:
            index: 0 to N - 1.

        Returns:
            (H, W, 3) uint8, RGB.

        Raises:
            UserError: it can no longer be read.
        """
        try:
            return read_pixels(self.paths[index], self.image_size)
        except UnreadableImage as error:
            raise UserError(
                f"{self.paths[index]} can no longer be read ({error}); put it back, or make the "
                "data set again with img2keras.py"
            ) from error
