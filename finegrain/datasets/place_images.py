"""Put the images of a data set into its folder: as links or copies, or cut to a part of them."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from finegrain.datasets.crops import Edges, crop_jpeg
from finegrain.datasets.folder_change import (
    FolderChange,
    is_ours,
    read_made,
    refuse_foreign,
    stale_files,
)
from finegrain.datasets.manifest import UNFINISHED
from finegrain.errors import UserError
from finegrain.memory import size_in_words
from finegrain.read_ahead import progress
from finegrain.whole_files import DISK_FULL

HALF_PLACED = ".half"


# With the whole path, or the way from the link.
SYMLINKS = ("symlink", "relative")


@dataclass(frozen=True, slots=True)
class Placement:
    """One image to be; its file's path may be text, which of a million takes less memory."""

    file: Path | str
    path: str  # below the data folder
    sha1: str
    crop: Edges | None = None  # the part of the source to write as a file of its own
    size: int = 0  # bytes that a file of its own takes

    @property
    def source(self) -> Path:
        return Path(self.file)


def place_images(
    output: Path, placements: list[Placement], tables: Mapping[str, bytes], link: str = "hard"
) -> int:
    """Make the data folder hold exactly these images and tables, besides files that are not ours.

    Images in their place are left alone. The others are made aside and exchanged when all are
    there: what fails leaves the folder as it was, a kill in the exchange leaves it marked as
    unfinished. `tables` maps file names to contents; the manifest among them tells the next run
    what is ours. `link` is `hard`, `symlink`, `relative` (a symlink that stays true when source
    and data folder move together) or `copy`. Returns how many images were copied since
    the file system refused a link. Raises a `UserError` if a file in the way is not ours, or if
    the disk is full; the same run can then be started again.
    """
    with _explained(output):
        made = read_made(output)
        missing = [p for p in placements if not _is_placed(p, output / p.path, link, output)]
        refuse_foreign(output, [placement.path for placement in missing], made)
        output.mkdir(parents=True, exist_ok=True)
        change = FolderChange(output)
        coming = [*(placement.path for placement in missing), *tables]
        touched = {*made, *coming}
        try:
            change.begin(set(coming))
            copied = _make_aside(change, missing, tables, link)
            stale = stale_files(output, made, {placement.path for placement in placements})
            ours = {(path, sha1) for path, sums in made.items() for sha1 in sums}
            change.exchange(stale, coming, ours | {(p.path, p.sha1) for p in placements})
        except Exception:
            change.clear(touched)
            raise
        change.clear(touched)
    return copied


def _make_aside(
    change: FolderChange, missing: list[Placement], tables: Mapping[str, bytes], link: str
) -> int:
    """Make the images and tables that are to come; how many were copied in place of a link."""
    copied = 0
    output = change.folder
    # A run that was stopped may have made some of them.
    missing_yet = [p for p in missing if not _is_placed(p, change.coming(p.path), link, output)]
    _check_room(output, missing_yet, link)
    for placement in progress("placing images", len(missing_yet), missing_yet):
        copied += _place(placement, change.coming(placement.path), link, output)
    for name, content in tables.items():
        with open(change.coming(name), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    return copied


def _check_room(output: Path, missing: list[Placement], link: str) -> None:
    """Refuse copies and crops that the disk has no room for."""
    needed = sum(p.size for p in missing if p.crop is not None or _is_copy(link, p.source, output))
    free = shutil.disk_usage(output).free
    if needed > free:
        raise UserError(
            f"the images for {output} need {size_in_words(needed)} and its disk has "
            f"{size_in_words(free)} left; free some, or give another --output"
        )


def _is_copy(link: str, source: Path, target: Path) -> bool:
    # On another file system a copy is all that a hard link can come to.
    return link == "copy" or (link == "hard" and source.stat().st_dev != target.stat().st_dev)


def _is_placed(placement: Placement, target: Path, link: str, output: Path) -> bool:
    source = placement.source
    if placement.crop is not None:
        return not target.is_symlink() and is_ours(target, {placement.sha1})
    if target.is_symlink():
        return link in SYMLINKS and target.readlink() == _link_text(placement, link, output)
    if not target.is_file():
        return False
    original, placed = source.stat(), target.stat()
    if os.path.samestat(original, placed):
        return link == "hard"
    same = (original.st_size, original.st_mtime_ns) == (placed.st_size, placed.st_mtime_ns)
    return same and _is_copy(link, source, target)


def _link_text(placement: Placement, link: str, output: Path) -> Path:
    """What a symlink to an image says, once it stands in its place in the data folder."""
    source = placement.source.resolve()
    if link == "symlink":
        return source
    return Path(os.path.relpath(source, (output.resolve() / placement.path).parent))


def _place(placement: Placement, target: Path, link: str, output: Path) -> bool:
    """Place one image, whole or not at all; True if it was copied in place of a link."""
    # A link to a link would break when the first one goes.
    source = placement.source.resolve()
    beside = target.with_name(HALF_PLACED)
    beside.unlink(missing_ok=True)
    if placement.crop is not None:
        beside.write_bytes(crop_jpeg(placement.source, placement.crop, placement.sha1))
        os.replace(beside, target)
        return False
    refused = False
    try:
        if link == "hard":
            os.link(source, beside)
        elif link in SYMLINKS:
            os.symlink(_link_text(placement, link, output), beside)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        refused = True
    if link == "copy" or refused:
        shutil.copy2(source, beside)
    # A file that is the same one already would stay beside.
    target.unlink(missing_ok=True)
    os.replace(beside, target)
    return refused


@contextlib.contextmanager
def _explained(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        state = "is not finished" if (output / UNFINISHED).exists() else "is as it was before"
        fault, mend = f"{error.strerror}: {error.filename}", "mend that"
        if error.errno in DISK_FULL:
            fault, mend = "the disk is full", "free some space"
        raise UserError(
            f"{fault}: {output} {state}; {mend} and start the same command again"
        ) from error
