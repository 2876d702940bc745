"""What changes an image, each change defined once: where pixels come from, what colours become.

The arithmetic is told which library computes, `numpy` for one image on the CPU or `keras.ops` for a
batch on the device, so that both do the same.
"""

import math
from typing import Any

from finegrain.tensor import Tensor

# Two rows of an affine map (x, y, 1) -> (x, y): numbers, or tensors of one number an image.
Affine = tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]
# A rectangle: left, top, width and height in shares of the image's, numbers or tensors alike.
Box = tuple[Any, Any, Any, Any]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

# What `recoloured` changes, in its order.
COLOURS = ("brightness", "contrast", "saturation")
# How much wider than high a crop may be, and the other way round (torchvision's; the image is 1).
CROP_ASPECT = 4 / 3
# Of what is erased: shares of the area, and aspect either way (the paper's s_l, s_h, r_1, r_2).
ERASED_AREA, ERASED_ASPECT = (0.02, 0.4), 1 / 0.3
# How bright red, green and blue look (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)


def affine(
    xp: Any,
    theta: Any,
    shear: Any,
    zoom_x: Any,
    zoom_y: Any,
    height: int,
    width: int,
    shift_x: Any = 0.0,
    shift_y: Any = 0.0,
) -> Affine:
    """The map of `ImageDataGenerator.apply_transform`, from a place in its result to the source.

    Factors, their order and the centre are Keras's own: for images that are not square its centre
    is that of the image turned by 90 degrees. Flips come after, with `mirrored`. In the map x
    counts columns and y rows.

    Args:
        xp: `numpy` or `keras.ops`.
        theta, shear: in degrees; these and the others numbers, or tensors (B,).
        zoom_x, zoom_y: Keras's `zx` and `zy`, of width and height; above 1 shrinks the picture.
        shift_x, shift_y: Keras's `tx` and `ty`, pixels like height and width.
    """
    theta, shear = theta * (math.pi / 180), shear * (math.pi / 180)
    cos, sin = xp.cos(theta), xp.sin(theta)
    # Rotation times shift times shear times zoom, multiplied out.
    xx, xy = cos * zoom_x, -(cos * xp.sin(shear) + sin * xp.cos(shear)) * zoom_y
    yx, yy = sin * zoom_x, (cos * xp.cos(shear) - sin * xp.sin(shear)) * zoom_y
    centre_x, centre_y = height / 2 - 0.5, width / 2 - 0.5
    x0 = cos * shift_x - sin * shift_y + centre_x - xx * centre_x - xy * centre_y
    y0 = sin * shift_x + cos * shift_y + centre_y - yx * centre_x - yy * centre_y
    return (xx, xy, x0), (yx, yy, y0)


def crop_box(xp: Any, smallest: float, draws: Any) -> Box:
    """A random crop that shows from the share `smallest` of an image's area to all of it.

    Szegedy et al. 2015, arXiv 1409.4842, section 6. `draws` are those of `_box`.
    """
    return _box(xp, smallest, 1.0, CROP_ASPECT, draws)


def erased_box(xp: Any, draws: Any) -> Box:
    """A random rectangle to erase; `draws` are those of `_box`.

    Zhong et al. 2017, arXiv 1708.04896, algorithm 1.
    """
    return _box(xp, *ERASED_AREA, ERASED_ASPECT, draws)


def _box(xp: Any, smallest: float, largest: float, aspect: float, draws: Any) -> Box:
    """A random rectangle inside an image.

    Any area from `smallest` to `largest` is as likely, and so is the logarithm of any aspect that
    fits inside, up to `aspect` either way; so nothing needs to be drawn again.

    Args:
        xp: `numpy` or `keras.ops`.
        draws: four numbers from 0 to 1, or tensors: of area, aspect, left and top.
    """
    area = smallest + (largest - smallest) * draws[0]
    widest = xp.minimum(math.log(aspect), -xp.log(area))
    # The root of the aspect.
    stretch = xp.exp((draws[1] - 0.5) * widest)
    width, height = xp.sqrt(area) * stretch, xp.sqrt(area) / stretch
    return draws[2] * (1 - width), draws[3] * (1 - height), width, height


def cropped(rows: Affine, box: Box, height: int, width: int) -> Affine:
    """The map whose source is a box of the image, drawn as large as the image.

    Beside the box the map still finds what the image shows there.
    """
    left, top, wide, high = box
    (xx, xy, x0), (yx, yy, y0) = rows
    # Edges of pixels, not their centres, are what falls on the edges of the box.
    from_left, from_top = left * width + (wide - 1) / 2, top * height + (high - 1) / 2
    across = xx * wide, xy * wide, x0 * wide + from_left
    return across, (yx * high, yy * high, y0 * high + from_top)


def mirrored(rows: Affine, axis: int, size: int, flip: Any) -> Affine:
    """The map whose result is mirrored along an axis, on which the images have `size` pixels.

    Axis 0 mirrors left to right, 1 top to bottom; `flip`, a number or a tensor (B,), is 1 or 0.
    """

    def row(of: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        turned = of[axis] * (1 - 2 * flip)
        start = of[2] + flip * (size - 1) * of[axis]
        return (turned, of[1], start) if axis == 0 else (of[0], turned, start)

    return row(rows[0]), row(rows[1])


def recoloured(xp: Any, image: Tensor, brightness: Any, contrast: Any, saturation: Any) -> Tensor:
    """Images (..., H, W, 3) brighter or darker, then with another contrast and saturation.

    Floats, RGB 0 to 255. Three factors, numbers or tensors (B, 1, 1, 1), of which 1 changes
    nothing: of all values, of the distance to the image's mean grey, and of that to each pixel's
    own grey. `xp` is `numpy` or `keras.ops`.
    """
    image = image * brightness
    mean = xp.mean(_grey(image), axis=(-3, -2), keepdims=True)
    image = mean + (image - mean) * contrast
    grey = _grey(image)
    return xp.clip(grey + (image - grey) * saturation, 0.0, 255.0)


def erased(xp: Any, image: Tensor, box: Box, noise: Tensor) -> Tensor:
    """Images (..., H, W, 3) with noise, as large as they are, in place of a box.

    A box of numbers, or of tensors (B, 1, 1, 1); pixels whose centres lie inside are erased, and
    none in a box of no width.
    """
    height, width = image.shape[-3:-1]
    left, top, wide, high = box
    x = xp.reshape(xp.arange(width, dtype="float32"), (1, width, 1)) + 0.5
    y = xp.reshape(xp.arange(height, dtype="float32"), (height, 1, 1)) + 0.5
    across = xp.logical_and(x > left * width, x < (left + wide) * width)
    down = xp.logical_and(y > top * height, y < (top + high) * height)
    return xp.where(xp.logical_and(across, down), noise, image)


def _grey(image: Tensor) -> Tensor:
    red, green, blue = (image[..., i : i + 1] * GREY[i] for i in range(3))
    return red + green + blue
