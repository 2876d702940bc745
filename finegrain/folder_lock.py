"""One working process a folder; who else wants to work there is told who it is."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from finegrain.errors import UserError
from finegrain.system_lock import Holder, SystemLock

LOCK = ".finegrain.lock"
LONGEST_COMMAND = 120
# A command that is just ending is waited for.
PATIENCE = 0.5


@contextlib.contextmanager
def folder_held(folder: Path) -> Iterator[None]:
    """Keep other commands from working in a folder for as long as this one does.

    A folder that was made only to be locked goes again if nothing was put into it.

    Args:
        folder: made if missing.

    Raises:
        UserError: another process works there, which is named; or the folder cannot be made or
            written to.
    """
    made: list[Path] = []
    try:
        made = _make(folder)
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


def _make(folder: Path) -> list[Path]:
    """Make a folder; returns those that were made for it, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()  # refuses a folder that holds something


def _this_command() -> Holder:
    command = shlex.join(["python", *sys.argv])
    if len(command) > LONGEST_COMMAND:
        command = f"{command[:LONGEST_COMMAND]} ..."
    since = datetime.now().isoformat(timespec="minutes")
    return Holder.this_process(command=command, since=since)


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
