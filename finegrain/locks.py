"""Locks that end with the process that holds them, and one working process a folder."""

import contextlib
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import filelock

from finegrain.errors import UserError
from finegrain.regular_file import read_regular

LOCK = ".finegrain.lock"
LONGEST_COMMAND = 120
# Seconds; a command that is just ending is waited for.
PATIENCE = 0.5


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: a process on a host, its command, and since when (ISO 8601, local)."""

    host: str
    process: int
    command: str = ""
    since: str = ""

    @classmethod
    def this_process(cls, *about: str) -> "Holder":
        """This very process."""
        return cls(socket.gethostname(), os.getpid(), *about)


class SystemLock:
    """The operating system's lock on a file, with a note in the file that tells who holds it.

    A process that is killed holds it no more. Threads of one process exclude each other too. The
    file, in a folder that exists, is made when the lock is taken and removed when it is released.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = filelock.FileLock(path, thread_local=False)

    def take(self, holder: Holder | None, timeout: float = 0.0) -> bool:
        """Take the lock within so many seconds, and note its holder, if given; True if taken."""
        try:
            self._lock.acquire(timeout=timeout)
        except filelock.Timeout:
            return False
        try:
            if holder is not None:
                self.path.write_text(json.dumps(asdict(holder)), encoding="utf-8")
        except OSError:
            self.release()
            raise
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


@contextlib.contextmanager
def folder_held(folder: Path) -> Iterator[None]:
    """Keep other commands from working in a folder, made if missing, while this one does.

    One made only to be locked goes again. Refuses a folder in use, or that cannot be written to.
    """
    made: list[Path] = []
    try:
        # The innermost first.
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        lock = SystemLock(folder / LOCK)
        taken = lock.take(_this_command(), PATIENCE)
    except OSError as error:
        _remove_empty(made)
        raise UserError(f"{folder} cannot be written to ({error.strerror or error})") from error
    if not taken:
        raise UserError(f"{folder} is in use by {_in_words(lock.holder())}; wait for it or stop it")
    try:
        yield
    finally:
        lock.release()
        _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()  # refuses a folder that holds something


def _this_command() -> Holder:
    command = shlex.join(["python", *sys.argv])
    if len(command) > LONGEST_COMMAND:
        command = f"{command[:LONGEST_COMMAND]} ..."
    return Holder.this_process(command, datetime.now().isoformat(timespec="minutes"))


def _in_words(holder: Holder | None) -> str:
    if holder is None:
        return "another process"
    where = "" if holder.host == Holder.this_process().host else f" on {holder.host}"
    try:
        since = datetime.fromisoformat(holder.since)
    except (ValueError, TypeError):
        return f"process {holder.process}{where}"
    when = f"{since:%H:%M}" if since.date() == datetime.now().date() else f"{since:%Y-%m-%d %H:%M}"
    return f"process {holder.process}{where} ({holder.command}, since {when})"
