"""Open files that have an end: a pipe, socket or device may wait for ever, or never end."""

import errno
import hashlib
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path

# Without the first, opening a pipe waits for a writer; each system knows some of them only.
FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))

CHUNK_BYTES = 1 << 20


class SizedReader(BufferedReader):
    """Never asked for more bytes than there are: damaged images announce gigabytes to set aside."""

    def __init__(self, raw: FileIO):
        super().__init__(raw)
        self._bytes = os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None else min(size, self._bytes))


def open_regular(path: Path) -> SizedReader:
    """Open a regular file, or a link to one; an `OSError` for a pipe, a socket or a device."""
    # Before, since merely opening a device may set something off; and once more after, since
    # another file may have taken its place.
    refuse_special(path)
    descriptor = os.open(path, os.O_RDONLY | FLAGS)
    try:
        _refuse_special(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return SizedReader(FileIO(descriptor))


def read_regular(path: Path) -> bytes:
    """The content of a regular file, or of a link to one; errors as of `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def refuse_special(path: Path) -> None:
    """As `open_regular` does, for libraries that open a file themselves."""
    _refuse_special(os.stat(path), path)


def _refuse_special(status: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content; memory is bounded."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
