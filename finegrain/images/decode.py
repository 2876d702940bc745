"""The one path from an image file to pixels, for training, test and demo alike."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# What Pillow calls a possible decompression bomb; a photograph of this size takes 270 MB as RGB.
MAX_PIXELS = 89_478_485

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"}
)


class UnreadableImage(Exception):
    """An image that cannot be decoded; the message is the reason, without the file name."""


def open_rgb(path: Path, at_least: tuple[int, int] | None = None) -> Image.Image:
    """Decode the first frame of an image file to upright 8-bit RGB.

    EXIF orientation is applied; greyscale, palette, CMYK and 16-bit images are converted;
    transparency is laid over white. The format is told by content, not by the file's name.

    Args:
        path: the image file.
        at_least: (height, width) that is enough for the caller; a JPEG that is at least twice
            as large may then be decoded at a reduced size, which is several times faster.

    Returns:
        A loaded `PIL.Image.Image` of mode RGB.

    Raises:
        UnreadableImage: the file is missing, empty, truncated, too large or no image.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableImage(
                    f"{image.width} x {image.height} pixels, more than the limit of {MAX_PIXELS}"
                )
            if at_least is not None and image.format == "JPEG":
                # EXIF may turn the image by 90 degrees, so either side must do for either axis.
                side = max(at_least)
                image.draft(None, (side, side))
            return _to_rgb(ImageOps.exif_transpose(image))
    except UnreadableImage:
        raise
    except FileNotFoundError:
        raise UnreadableImage("no such file") from None
    except Image.DecompressionBombError:
        raise UnreadableImage(f"more than the limit of {MAX_PIXELS} pixels") from None
    except Image.UnidentifiedImageError:
        reason = "empty file" if path.stat().st_size == 0 else "no image format that Pillow knows"
        raise UnreadableImage(reason) from None
    # Pillow's decoders answer damaged files with a wide family of exceptions.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
        raise UnreadableImage(str(error) or type(error).__name__) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Sixteen bits, which plain convert() would clip to white instead of scaling.
        wide = np.asarray(image, dtype=np.uint32)
        return Image.fromarray((wide >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise UnreadableImage("floating-point pixels have no agreed range")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    image.load()
    return image.convert("RGB")


def read_pixels(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read an image file as the array a model takes.

    The image is squeezed to `size` without keeping its aspect ratio (as
    `ImageDataGenerator.flow_from_directory` does), with a filter that averages when it shrinks.

    Args:
        path: the image file.
        size: (height, width) in pixels.

    Returns:
        uint8 array of shape (height, width, 3), RGB, 0 to 255.

    Raises:
        UnreadableImage: see `open_rgb`.
    """
    height, width = size
    image = open_rgb(path, at_least=size)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
