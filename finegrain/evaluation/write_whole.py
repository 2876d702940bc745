"""A file is written whole or not at all."""

import os
from pathlib import Path

from finegrain.errors import UserError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, then rename it; what stood there survives a failure.

    Args:
        path: the file; its folder is made where it is missing.
        content: all of it.

    Raises:
        UserError: the file cannot be written, with the system's reason.
    """
    check_writable(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}; what stood there is as it was"
        ) from None
    finally:
        beside.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Make the folder of a file to be written; called first, before hours of work for that file.

    Raises:
        UserError: a folder stands in its place, or its own folder cannot be made or written to.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; --output takes the name of a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the folder {path.parent} of {path} cannot be made: {error.strerror}"
        ) from None
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"the folder {path.parent} cannot be written to; choose another --output")
