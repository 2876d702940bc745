"""A lock on a file that ends with the process that holds it, however that ends."""

import contextlib
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock

from finegrain.regular_file import read_regular


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        host: name of the machine.
        process: number of the process there.
        command: what it was started with.
        since: when it took the lock, in ISO 8601, local time.
    """

    host: str
    process: int
    command: str = ""
    since: str = ""

    @classmethod
    def this_process(cls, **about: str) -> "Holder":
        """This very process."""
        return cls(socket.gethostname(), os.getpid(), **about)


class SystemLock:
    """The operating system's lock on a file, with a note in the file that tells who holds it.

    A process that is killed holds it no more. Threads of one process exclude each other too.

    Args:
        path: the file, in a folder that exists; made when taken, removed when released.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = filelock.FileLock(path, thread_local=False)

    def take(self, holder: Holder, timeout: float = 0.0) -> bool:
        """Take the lock and leave a note of the holder.

        Args:
            holder: written into the file.
            timeout: seconds to wait for somebody else to release it.

        Returns:
            Whether it is ours now.

        Raises:
            OSError: the file cannot be made or written.
        """
        if not self.try_to_take(timeout):
            return False
        try:
            self.path.write_text(json.dumps(asdict(holder)), encoding="utf-8")
        except OSError:
            self.release()
            raise
        return True

    def try_to_take(self, timeout: float = 0.0) -> bool:
        """Take the lock and leave the note as it is."""
        try:
            self._lock.acquire(timeout=timeout)
        except filelock.Timeout:
            return False
        return True

    def holder(self) -> Holder | None:
        """Who took it last, None where the note cannot be read."""
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
            return Holder(**json.loads(read_regular(self.path)))
        return None

    def release(self) -> None:
        """Let others take it, and remove the file."""
        # While the lock is still held: nobody else's file can stand there.
        with contextlib.suppress(OSError):
            self.path.unlink()
        self._lock.release()
