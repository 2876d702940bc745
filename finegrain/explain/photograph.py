"""A photograph as people look at it, as a model takes it, and coloured by what a model looks at."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from finegrain.decode import open_rgb, read_pixels

SHOWN_SIDE = 800
STRENGTH = 0.55
COLOURS = "turbo"


@dataclass(frozen=True)
class Photograph:
    """One image file, decoded to (h, w, 3) uint8, RGB."""

    path: Path
    # with its own aspect ratio, of at most 800 pixels a side
    shown: np.ndarray
    # of the model's size, by the same way as in training
    pixels: np.ndarray


def read_photograph(path: Path, image_size: tuple[int, int]) -> Photograph:
    """Decode a file for people and for a model of (height, width) pixels, or UnreadableImage."""
    image = open_rgb(path, at_least=(SHOWN_SIDE, SHOWN_SIDE))
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return Photograph(path, np.asarray(image), read_pixels(path, image_size))


def fitted(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture squeezed to (height, width) pixels, as `read_pixels` squeezes photographs."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"`pixels` must be (H,W,3) uint8. Received: {pixels.dtype} {pixels.shape}")
    if pixels.shape[:2] == tuple(size):
        return pixels
    height, width = size
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image)


def lay_over(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Colour a picture by its heat, from blue over green and yellow to red; cold is left alone.

    Pixels are (H, W, 3) uint8, RGB, heat (h, w) float, 0 to 1, over the whole picture. Gives a
    picture of the same size; where all heat around is 0, the picture itself.
    """
    import matplotlib

    height, width = pixels.shape[:2]
    spread = Image.fromarray(heat.astype(np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    spread = np.clip(np.asarray(spread), 0, 1)
    colours = matplotlib.colormaps[COLOURS](spread)[..., :3] * 255
    spread = spread[..., None]
    # A yellow flower and yellow heat would pass for one another.
    grey = pixels.mean(axis=2, keepdims=True)
    paled = pixels + (grey - pixels) * np.minimum(1, 3 * spread)
    share = STRENGTH * np.minimum(1, 2 * spread)
    return np.rint(paled * (1 - share) + colours * share).astype(np.uint8)
