"""Damaged images: small ones of every format, cut short or with bytes changed."""

import io
import random
from collections.abc import Iterator

import numpy as np
from PIL import Image

TIFF_COMPRESSIONS = (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "lzma")
# Of black and white only.
FAX_COMPRESSIONS = ("group3", "group4", "tiff_ccitt")


def whole_images() -> list[tuple[str, bytes]]:
    """(suffix, content) of images of all kinds, undamaged."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    photo = Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    return [
        ("jpg", _encoded(photo, "JPEG", exif=exif)),
        ("jpg", _encoded(photo.convert("CMYK"), "JPEG", progressive=True)),
        ("jpg", _encoded(photo, "MPO", save_all=True, append_images=[photo])),
        ("png", _encoded(photo, "PNG", exif=exif)),
        ("png", _encoded(photo.convert("P"), "PNG", transparency=3)),
        ("png", _encoded(photo.convert("I;16"), "PNG")),
        ("webp", _encoded(photo, "WEBP")),
        ("webp", _encoded(photo, "WEBP", lossless=True)),
        ("gif", _encoded(photo, "GIF", save_all=True, append_images=[photo.rotate(90)])),
        *[("tif", _encoded(photo, "TIFF", compression=name)) for name in TIFF_COMPRESSIONS],
        *[
            ("tif", _encoded(photo.convert("1"), "TIFF", compression=name))
            for name in FAX_COMPRESSIONS
        ],
    ]


def mutants(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """(suffix, content) of damaged images, the same for the same seed."""
    numbers = random.Random(seed)
    whole = whole_images()
    for number in range(count):
        suffix, content = whole[number % len(whole)]
        yield suffix, _damaged(bytearray(content), numbers)


def _damaged(content: bytearray, numbers: random.Random) -> bytes:
    kind = numbers.choice(["cut", "bytes", "header", "hole", "extreme"])
    place = numbers.randrange(len(content) - 4)
    if kind == "cut":
        del content[place:]
    elif kind == "hole":
        del content[place : place + numbers.randrange(1, 64)]
    elif kind == "extreme":
        # The end is where TIFF keeps its directory.
        place = numbers.choice([place, numbers.randrange(-200, -4)])
        content[place : place + 4] = numbers.choice(
            [b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f", b"\0\0\1\0"]
        )
    else:
        reach = len(content) if kind == "bytes" else min(len(content), 200)
        for _ in range(numbers.randrange(1, 8)):
            content[numbers.randrange(reach)] = numbers.randrange(256)
    return bytes(content)


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()
