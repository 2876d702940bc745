"""Files are written whole or not at all: beside first, then renamed."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from finegrain.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def written_whole(path: Path, expected_bytes: int = 0) -> Iterator[Path]:
    """Give a file to write that takes `path`'s place only when it is complete.

    Whatever goes wrong on the way, the file that stood at `path` before is untouched.

    Args:
        path: where the finished file shall stand; its folder is made if missing.
        expected_bytes: space to make sure of beforehand. For files that HDF5 writes, which
            crashes the process when the disk is full.

    Yields:
        A path in the same folder, ending in the same suffixes, for the caller to write to.

    Raises:
        UserError: the disk is full or the folder cannot be written to.
    """
    beside = path.with_name(f".{secrets.token_hex(4)}.partial.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_space(beside, expected_bytes)
        yield beside
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _check_space(beside: Path, expected_bytes: int) -> None:
    """Raise OSError if the disk cannot take so many bytes."""
    if expected_bytes and hasattr(os, "posix_fallocate"):
        # Asks the file system itself, quotas and limits included.
        with open(beside, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, expected_bytes)
        beside.unlink()
    elif expected_bytes > shutil.disk_usage(beside.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _explain(error: OSError, path: Path) -> UserError:
    # HDF5 hides the system's error number in its message.
    hidden = any(f"errno = {number}" in str(error) for number in DISK_FULL)
    if hidden or error.errno in DISK_FULL:
        return UserError(
            f"the disk is full: {path} could not be written, what stood there before is intact; "
            "free some space and start the same command again"
        )
    return UserError(f"{path} could not be written ({error.strerror or error})")


def remove_partials(folder: Path) -> None:
    """Sweep what a killed process left half-written in a folder."""
    for leftover in folder.glob(".*.partial.*"):
        leftover.unlink(missing_ok=True)
