"""All geometric changes of a random transform as one affine warp over all channels."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

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


def affine_matrix(parameters: Mapping[str, Any], height: int, width: int) -> np.ndarray | None:
    """The matrix of `ImageDataGenerator.apply_transform`, without the flips.

    Factors, their order and the centre are Keras's own; for images that are not square its
    centre is that of the image turned by 90 degrees.

    Args:
        parameters: as from `get_random_transform`.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        (2, 3) float64: (row, column, 1) of the result to (row, column) of the image; None where
        nothing is to be done.
    """
    theta, shear = np.deg2rad([parameters.get("theta", 0), parameters.get("shear", 0)])
    sine, cosine = np.sin(theta), np.cos(theta)
    rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    shift = np.array([[1, 0, parameters.get("tx", 0)], [0, 1, parameters.get("ty", 0)], [0, 0, 1]])
    shearing = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    zoom = np.diag([parameters.get("zx", 1), parameters.get("zy", 1), 1])
    matrix = rotation @ shift @ shearing @ zoom
    if np.array_equal(matrix, np.eye(3)):
        return None
    centre = np.array([[1, 0, height / 2 - 0.5], [0, 1, width / 2 - 0.5], [0, 0, 1]])
    back = np.array([[1, 0, 0.5 - height / 2], [0, 1, 0.5 - width / 2], [0, 0, 1]])
    matrix = centre @ matrix @ back
    return matrix[np.ix_([1, 0], [1, 0, 2])]


def warp(
    image: np.ndarray,
    matrix: np.ndarray,
    flip_rows: bool = False,
    flip_columns: bool = False,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> np.ndarray:
    """Draw an image anew, interpolating bilinearly between its pixels; one pass, no GIL.

    Args:
        image: (H, W, C) that `can_warp` accepts, uint8 or float32.
        matrix: (2, 3), from (row, column, 1) of the result to (row, column) of the image.
        flip_rows: mirror the result top to bottom.
        flip_columns: mirror the result left to right.
        fill_mode: what lies outside the image, in SciPy's words: `"nearest"`, `"reflect"` or
            `"constant"`.
        cval: the constant.

    Returns:
        A new array of the image's shape and dtype; uint8 is rounded to the nearest.
    """
    height, width = image.shape[:2]
    # From SciPy's (row, column) to OpenCV's (x, y).
    positions = matrix[::-1, [1, 0, 2]].astype(np.float64)
    for axis, size, flipped in ((0, width, flip_columns), (1, height, flip_rows)):
        if flipped:
            positions[:, 2] += positions[:, axis] * (size - 1)
            positions[:, axis] *= -1
    result = cv2.warpAffine(
        np.ascontiguousarray(image),
        positions,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=BORDERS[fill_mode],
        hint=cv2.ALGO_HINT_ACCURATE,
    ).reshape(image.shape)
    if fill_mode == "constant":
        result[_outside(matrix, height, width, flip_rows, flip_columns)] = (
            np.clip(np.rint(cval), 0, 255) if image.dtype == np.uint8 else cval
        )
    return result


def _outside(
    matrix: np.ndarray, height: int, width: int, flip_rows: bool, flip_columns: bool
) -> np.ndarray:
    """(H, W) bool, True where the result lies outside the image; summed as SciPy sums."""
    rows = np.arange(height)[:: -1 if flip_rows else 1, None]
    columns = np.arange(width)[None, :: -1 if flip_columns else 1]
    outside = np.zeros((height, width), bool)
    for (by_row, by_column, offset), size in zip(matrix, (height, width), strict=True):
        position = (offset + by_row * rows) + by_column * columns
        outside |= (position < 0) | (position > size - 1)
    return outside
