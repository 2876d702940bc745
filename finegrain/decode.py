"""The one path from an image file to pixels, for training, test and demo alike."""

import functools
from io import BufferedReader
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from finegrain.frame import Frame
from finegrain.quiet import silence_decoders
from finegrain.regular_file import open_regular

# What Pillow calls a possible decompression bomb; a photograph of this size takes 270 MB as RGB.
MAX_PIXELS = 89_478_485

IMAGE_SUFFIXES = frozenset(".jpg .jpeg .png .bmp .gif .webp .tif .tiff .ppm".split())

# Told by a file's content, whatever its name. What else Pillow opens is no photograph, and may be a
# program (EPS) that it would have Ghostscript run.
FORMATS = (
    "JPEG PNG GIF WEBP TIFF BMP PPM AVIF JPEG2000 DIB ICO ICNS PSD SGI PCX QOI DDS TGA"
).split()

EXIF_ORIENTATION = 0x0112
TURN_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Orientations whose width is the height of the upright image.
SIDES_SWAPPED = (5, 6, 7, 8)


class UnreadableImage(Exception):
    """An image that cannot be decoded; the message is the reason, without the file name."""


def open_rgb(path: Path, at_least: tuple[int, int] | None = None) -> Image.Image:
    """Decode the first frame of an image file to upright 8-bit RGB.

    EXIF orientation is applied; greyscale, palette, CMYK and 16-bit images are converted;
    transparency is laid over white. The format is told by content, not by the file's name.
    Where `at_least` tells what (height, width) is enough, a JPEG at least twice as large may be
    decoded at a reduced size, which is several times faster. Raises `UnreadableImage` for a file
    that is missing, empty, truncated, too large, no image, or a pipe, a socket or a device.
    """
    return open_sized(path, at_least)[0]


def open_sized(
    path: Path, at_least: tuple[int, int] | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """As `open_rgb`, with the (width, height) that the upright image has in full."""
    silence_decoders()
    try:
        with open_regular(path) as file, _opened(file) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnreadableImage(
                    f"{width} x {height} pixels, more than the limit of {MAX_PIXELS}"
                )
            if at_least is not None and image.format in ("JPEG", "MPO"):
                # EXIF may turn the image by 90 degrees, so either side must do for either axis.
                image.draft(None, (max(at_least), max(at_least)))
            reduced = image.size != (width, height)
            image.load()
            orientation = _orientation(image)
            rgb = _to_rgb(image)
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:
        # Pillow's decoders answer damaged files with nearly every kind of exception.
        raise UnreadableImage(_reason(error)) from error
    if orientation in TURN_UPRIGHT:
        rgb = rgb.transpose(TURN_UPRIGHT[orientation])
    if not reduced:
        return rgb, rgb.size
    return rgb, (height, width) if orientation in SIDES_SWAPPED else (width, height)


def _opened(file: BufferedReader) -> Image.Image:
    if not file.peek(1):
        raise UnreadableImage("empty file")
    return Image.open(file, formats=_known_formats())


@functools.cache
def _known_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:
        # A photograph with a damaged note about the camera is still a photograph.
        return 1


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than the limit of {MAX_PIXELS} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "no image format that Pillow knows"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Sixteen bits, which plain convert() would clip to white instead of scaling.
        high = np.asarray(image) >> 8
        return Image.fromarray(high.clip(0, 255, out=high).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise UnreadableImage("floating-point pixels have no agreed range")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def read_pixels(path: Path, frame: Frame) -> np.ndarray:
    """Read an image file as the array a model takes: (height, width, 3) uint8, RGB, 0 to 255.

    By default a frame squeezes, as `ImageDataGenerator.flow_from_directory` does.
    """
    return np.asarray(frame.fitted(open_rgb(path, at_least=frame.size)))
