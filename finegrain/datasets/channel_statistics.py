"""Mean and standard deviation of the red, green and blue of many photographs, in one pass.

A photograph adds to a table of how often each channel has each of its 256 values. Counts are whole
numbers, so the table is the same in whatever order the photographs come and over however many
processes they are spread; mean and standard deviation follow from it without rounding on the way.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finegrain.decode import UnreadableImage, open_rgb
from finegrain.errors import UserError

CHANNELS, VALUES = 3, 256


@dataclass(frozen=True)
class ChannelStatistics:
    """What is known of the pixels of some images.

    Attributes:
        images: how many there are.
        pixels: how many pixels they have together; each counts the same, whosever it is.
        mean: of red, green and blue, 0 to 255, rounded once, to the nearest float64.
        std: population standard deviation of red, green and blue, 0 to 255; the square root of
            a variance that was rounded once.
    """

    images: int
    pixels: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def count_values(paths: Iterable[Path]) -> np.ndarray:
    """Count the values of images, one after the other, at their full size.

    Returns:
        (3, 256) int64: how often red, green and blue have each value.

    Raises:
        UserError: an image cannot be read.
    """
    counts = np.zeros(CHANNELS * VALUES, np.int64)
    for path in paths:
        try:
            counts += open_rgb(path).histogram()
        except UnreadableImage as error:
            raise UserError(
                f"{path} cannot be read any more ({error}); start the same command again, which "
                "leaves it out"
            ) from error
    return counts.reshape(CHANNELS, VALUES)


def statistics_of(images: int, counts: np.ndarray) -> ChannelStatistics:
    """Mean and standard deviation from a table of counts.

    Args:
        images: how many images were counted, at least one.
        counts: (3, 256) int64, from `count_values`; tables of several lists add up.
    """
    mean, std = [], []
    for channel in counts.tolist():
        # Python's integers are exact at any size, and dividing them rounds once.
        pixels = sum(channel)
        total = sum(value * count for value, count in enumerate(channel))
        squares = sum(value * value * count for value, count in enumerate(channel))
        mean.append(total / pixels)
        std.append(math.sqrt((pixels * squares - total * total) / (pixels * pixels)))
    return ChannelStatistics(images, pixels, _rgb(mean), _rgb(std))


def _rgb(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue
