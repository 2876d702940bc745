"""A part of a photograph as a file of its own."""

import hashlib
import io
from pathlib import Path

from finegrain.decode import UnreadableImage, open_rgb
from finegrain.errors import UserError

# Left, top, right and bottom, in pixels of the upright photograph; right and bottom lie outside.
Edges = tuple[int, int, int, int]

JPEG_QUALITY = 95
# Colours at full resolution: feathers differ in small coloured marks.
JPEG_SUBSAMPLING = "4:4:4"


def crop_jpeg(path: Path, edges: Edges, expected_sha1: str | None = None) -> bytes:
    """The JPEG that holds the part of a photograph inside `edges`, upright, RGB.

    The same photograph and edges give the same bytes with the same release of Pillow.

    Args:
        path: the photograph.
        edges: the part, inside the photograph.
        expected_sha1: checksum that the bytes had when they were made before.

    Raises:
        UserError: the photograph cannot be read, or gives other bytes than before.
    """
    try:
        part = open_rgb(path).crop(edges)
    except UnreadableImage as unreadable:
        raise UserError(
            f"{path} could be read before and now cannot ({unreadable}); start the same command "
            "again"
        ) from unreadable
    written = io.BytesIO()
    part.save(written, "JPEG", quality=JPEG_QUALITY, subsampling=JPEG_SUBSAMPLING)
    content = written.getvalue()
    if expected_sha1 is not None and hashlib.sha1(content).hexdigest() != expected_sha1:
        raise UserError(f"{path} was changed meanwhile; start the same command again")
    return content
