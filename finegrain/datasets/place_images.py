"""Put the images of a data set into its folder: as links or copies, or cut to a part of them."""

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from finegrain.datasets.crop_file import Edges, crop_jpeg
from finegrain.datasets.made_earlier import (
    is_ours,
    read_made,
    refuse_foreign,
    remove_stale,
    write_unfinished,
)
from finegrain.datasets.manifest import UNFINISHED
from finegrain.errors import UserError

LINKS = ("hard", "symlink", "copy")
HALF_PLACED = ".placing"


@dataclass(frozen=True)
class Placement:
    """One image to be: where it comes from, and where it goes below the data folder.

    With `crop` a part of the source is written as a file of its own, of checksum `sha1`.
    """

    source: Path
    path: str
    sha1: str
    crop: Edges | None = None


def place_images(output: Path, placements: list[Placement], link: str = "hard") -> int:
    """Make the data folder hold exactly these images, besides files that are not ours.

    Images that stand in their place already are left alone. The folder stays marked as
    unfinished until `finish` is called.

    Args:
        output: the data folder; made if missing.
        placements: the images.
        link: `hard`, `symlink` or `copy`; where the file system refuses a link, a copy is made.

    Returns:
        How many images were copied because a link was refused.

    Raises:
        UserError: a file that no run of ours made stands in the way, or the disk is full; the
            same run can then be started again.
    """
    with _explained(output):
        made = read_made(output)
        missing = [p for p in placements if not _is_placed(p, output / p.path, link)]
        refuse_foreign(output, [placement.path for placement in missing], made)
        write_unfinished(output, made, [(p.path, p.sha1) for p in placements])
        remove_stale(output, made, {placement.path for placement in placements})
        copied = 0
        interval = 0.2 if sys.stderr.isatty() else 10.0
        for placement in tqdm(
            missing, "placing images", unit=" images", mininterval=interval, disable=not missing
        ):
            target = output / placement.path
            target.parent.mkdir(parents=True, exist_ok=True)
            copied += _place(placement, target, output / HALF_PLACED, link)
    return copied


def finish(output: Path) -> None:
    """Say that manifest and images agree; the last step of making a data folder."""
    (output / HALF_PLACED).unlink(missing_ok=True)
    (output / UNFINISHED).unlink(missing_ok=True)


def _is_placed(placement: Placement, target: Path, link: str) -> bool:
    source = placement.source
    if placement.crop is not None:
        return not target.is_symlink() and is_ours(target, {placement.sha1})
    if target.is_symlink():
        return link == "symlink" and target.readlink() == source.resolve()
    if not target.is_file():
        return False
    original, placed = source.stat(), target.stat()
    if os.path.samestat(original, placed):
        return link == "hard"
    same = (original.st_size, original.st_mtime_ns) == (placed.st_size, placed.st_mtime_ns)
    # On another file system a copy is all that a hard link can come to.
    return same and (link == "copy" or link == "hard" and original.st_dev != placed.st_dev)


def _place(placement: Placement, target: Path, beside: Path, link: str) -> bool:
    """Place one image, whole or not at all; True if it was copied in place of a link."""
    # A link to a link would break when the first one goes.
    source = placement.source.resolve()
    beside.unlink(missing_ok=True)
    refused = False
    if placement.crop is not None:
        beside.write_bytes(crop_jpeg(placement.source, placement.crop, placement.sha1))
        os.replace(beside, target)
        return refused
    try:
        if link == "hard":
            os.link(source, beside)
        elif link == "symlink":
            os.symlink(source, beside)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        refused = True
    if link == "copy" or refused:
        shutil.copy2(source, beside)
    os.replace(beside, target)
    return refused


@contextlib.contextmanager
def _explained(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else f"{error.strerror}: {error.filename}"
        raise UserError(
            f"{output} could not be finished ({what}); mend that and start the same command again"
        ) from error
