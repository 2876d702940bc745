"""Photographs of a data set as small pictures inside the page."""

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from finegrain.decode import UnreadableImage, open_rgb

SIDE = 160
QUALITY = 72


@dataclass(frozen=True)
class Picture:
    """One picture of the page: what it shows, its `data:` address, or why there is none."""

    alt: str
    source: str = ""
    problem: str = ""


@dataclass
class Photographs:
    """The photographs of a data set folder, wherever it stands now, found by their path in it."""

    folder: Path
    # Of the small pictures, pixels at most.
    side: int = SIDE
    # Path -> why it cannot be shown.
    missing: dict[str, str] = field(default_factory=dict, init=False)
    _made: dict[str, str] = field(default_factory=dict, init=False)

    def file(self, path: str) -> Path:
        """Where a photograph is, or would be; `path` may be absolute."""
        return self.folder / PurePosixPath(path)

    def picture(self, path: str, alt: str) -> Picture:
        """A photograph, shrunk to fit; one that is gone or damaged is noted in `missing`."""
        if path not in self._made and path not in self.missing:
            try:
                image = open_rgb(self.file(path), at_least=(self.side, self.side))
                self._made[path] = jpeg_address(image, self.side)
            except (UnreadableImage, ValueError) as error:
                # ValueError: a path that no file can have.
                self.missing[path] = str(error)
        return Picture(alt, self._made.get(path, ""), self.missing.get(path, ""))


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """(width, height) of a picture shrunk, never enlarged, to fit a square."""
    shrink = min(1.0, side / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def jpeg_address(image: Image.Image, side: int = SIDE) -> str:
    """An RGB image, shrunk to fit, as a `data:` address that a page can hold."""
    small = image.resize(fitted(image.size, side), Image.Resampling.BOX, reducing_gap=2.0)
    return data_address(small, "jpeg", quality=QUALITY)


def data_address(image: Image.Image, kind: str, **options: Any) -> str:
    """An image as a `data:` address, of the kind `jpeg` or `png`."""
    held = io.BytesIO()
    image.save(held, kind, optimize=True, **options)
    return f"data:image/{kind};base64,{base64.b64encode(held.getvalue()).decode('ascii')}"
