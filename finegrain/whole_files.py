"""Files are written whole or not at all: beside first, then renamed."""

import contextlib
import errno
import io
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from finegrain.errors import UserError
from finegrain.locks import Holder, SystemLock

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What is being written, and the lock that its writer holds meanwhile.
UNDER_WAY = re.compile(r"\.(?P<token>[0-9a-f]{8})\.(partial|lock)\.(?P<name>.+)", re.DOTALL)
# Locks may not reach across a network; what another machine writes is left alone for so long.
ANOTHER_HOST_SECONDS = 24 * 3600.0


@contextlib.contextmanager
def written_whole(path: Path, expected_bytes: int = 0) -> Iterator[Path]:
    """Give a file to write that takes `path`'s place only when it is complete.

    Whatever goes wrong on the way, the file that stood at `path` before is untouched. What killed
    processes left of earlier attempts at `path` is swept away. The folder is made if missing; the
    file to write to ends in the same suffixes. Space for `expected_bytes` is made sure of
    beforehand, for files that HDF5 writes, which crashes the process when the disk is full. Raises
    a `UserError` if the disk is full or the folder cannot be written to.
    """
    try:
        with partial_beside(path) as beside:
            _check_space(beside, expected_bytes)
            yield beside
            with open(beside, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(beside, path)
    except (OSError, RuntimeError) as error:
        numbers = [f"errno = {number}," for number in DISK_FULL]
        # HDF5 names it in its message, of a RuntimeError if it could not close a file.
        if getattr(error, "errno", 0) in DISK_FULL or any(name in str(error) for name in numbers):
            raise UserError(
                f"the disk is full: {path} could not be written, what stood there before is "
                "intact; free some space and start the same command again"
            ) from error
        if isinstance(error, RuntimeError):
            raise
        raise UserError(f"{path} could not be written ({error.strerror or error})") from error


def write_encoded(path: Path, encode: Callable[[io.BytesIO], object]) -> None:
    """Write whole what `encode` gives, a picture say, which comes to be in memory first.

    Pillow takes a write that a full disk cut short for a whole one. Errors as `written_whole`.
    """
    held = io.BytesIO()
    encode(held)
    with written_whole(path) as beside:
        beside.write_bytes(held.getvalue())


@contextlib.contextmanager
def partial_beside(path: Path) -> Iterator[Path]:
    """Give a name in `path`'s folder, made if missing, for a file or a folder under way.

    What stands there is removed at the end. As long as this lasts nobody sweeps it away; of a
    killed process it is swept when `path` is written the next time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_partials(path.parent, path.name)
    token = secrets.token_hex(4)
    beside = path.with_name(f".{token}.partial.{path.name}")
    lock = SystemLock(path.with_name(f".{token}.lock.{path.name}"))
    if not lock.take(Holder.this_process(), timeout=10):
        raise OSError(errno.EAGAIN, f"{lock.path} is held by another process")
    try:
        yield beside
    finally:
        _remove(beside)
        lock.release()


def remove_partials(folder: Path, name: str | None = None) -> None:
    """Sweep away what killed processes left half-written in a folder, not in those below it.

    What a living process is writing stays, and what another machine wrote within the last day,
    since locks need not reach that far. With `name`, only what was to become that is swept.
    """
    entries: list[str] = []
    with contextlib.suppress(OSError):
        entries = os.listdir(folder)
    for entry in entries:
        found = UNDER_WAY.fullmatch(entry)
        # A file may be written beside one that is itself under way.
        if found and (name in (None, found["name"]) or found["name"].endswith(f".partial.{name}")):
            _sweep(folder, found["token"], found["name"])


def _sweep(folder: Path, token: str, name: str) -> None:
    partial = folder / f".{token}.partial.{name}"
    lock = SystemLock(folder / f".{token}.lock.{name}")
    if not lock.path.exists():
        # Its writer would hold one.
        _remove(partial)
        return
    holder = lock.holder()
    elsewhere = holder is not None and holder.host != Holder.this_process().host
    with contextlib.suppress(OSError):
        if elsewhere and time.time() - lock.path.stat().st_mtime < ANOTHER_HOST_SECONDS:
            return
        if lock.take(None):
            _remove(partial)
            lock.release()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _check_space(beside: Path, expected_bytes: int) -> None:
    """Raise OSError if the disk cannot take so many bytes."""
    if expected_bytes and hasattr(os, "posix_fallocate"):
        # Asks the file system itself, quotas and limits included.
        with open(beside, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, expected_bytes)
        beside.unlink()
    elif expected_bytes > shutil.disk_usage(beside.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
