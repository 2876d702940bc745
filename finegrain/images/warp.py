"""An affine map drawn by OpenCV, all channels at once."""

from functools import cache

import cv2
import numpy as np

from finegrain.images.image_changes import Affine, mirrored

BORDERS = {
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    # SciPy does not mix `cval` into the outermost pixels as OpenCV would: it is laid over after.
    "constant": cv2.BORDER_REPLICATE,
}
# OpenCV has exact kernels for these; for others it rounds positions to 1/32 of a pixel.
CHANNELS = (1, 3, 4)
# OpenCV counts pixels in 16 bits.
LARGEST_SIDE = 32_766


def can_warp(image: np.ndarray, fill_mode: str, order: int) -> bool:
    """Whether `warp` gives what SciPy would, given an image (H, W, C)."""
    return (
        image.dtype in (np.uint8, np.float32)
        and image.ndim == 3
        and image.shape[2] in CHANNELS
        and min(image.shape[:2]) > 0
        and max(image.shape[:2]) <= LARGEST_SIDE
        and fill_mode in BORDERS
        and order == 1
    )


def warp(
    image: np.ndarray,
    rows: Affine,
    flip_rows: bool = False,
    flip_columns: bool = False,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Draw an image anew, interpolating bilinearly between its pixels; one pass, no GIL.

    OpenCV's own threads are switched off for the process: images, not their rows, are what is
    shared out. The result has the image's shape and dtype; uint8 is rounded to the nearest.

    Args:
        image: (H, W, C) that `can_warp` accepts, uint8 or float32.
        rows: from a place in the result, before any flip, to one in the image.
        flip_rows, flip_columns: mirror the result top to bottom, left to right.
        fill_mode: what lies outside the image, in SciPy's words; `"constant"` is `cval`.
    """
    if rows == ((1, 0, 0), (0, 1, 0)):
        return image[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1].copy()
    height, width = image.shape[:2]
    flipped = mirrored(mirrored(rows, 0, width, flip_columns), 1, height, flip_rows)
    _one_thread()
    result = cv2.warpAffine(
        np.ascontiguousarray(image),
        np.array(flipped, np.float64),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=BORDERS[fill_mode],
        hint=cv2.ALGO_HINT_ACCURATE,
    ).reshape(image.shape)
    if fill_mode == "constant":
        result[_outside(rows, height, width, flip_rows, flip_columns)] = (
            np.clip(np.rint(cval), 0, 255) if image.dtype == np.uint8 else cval
        )
    return result


@cache
def _one_thread() -> None:
    cv2.setNumThreads(1)


def _outside(
    rows: Affine, height: int, width: int, flip_rows: bool, flip_columns: bool
) -> np.ndarray:
    """(H, W) bool, True where the result lies outside the image; summed as SciPy sums."""
    y = np.arange(height)[:: -1 if flip_rows else 1, None]
    x = np.arange(width)[None, :: -1 if flip_columns else 1]
    outside = np.zeros((height, width), bool)
    for (by_x, by_y, offset), size in zip(rows, (width, height), strict=True):
        position = (offset + by_y * y) + by_x * x
        outside |= (position < 0) | (position > size - 1)
    return outside
