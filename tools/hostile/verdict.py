"""What counts as fallen."""

import re
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from hostile.fingerprint import raw_digests
from hostile.process import Outcome

USER_ERROR, INTERRUPTED = 2, 130
MOST_NAMED = 3
# tyro draws a box around what it cannot parse.
PARSING_BOX = re.compile(r"^\s*╭")
# Warnings of the project, and the lines that list what they are about.
TOLD = ("warning: ", "notice", "  ")
PROGRESS_BAR = re.compile(r"\d+%\|")
ERROR = re.compile(r"^error: \S")
# Ctrl-C between two lines of h5py's own code leaves it with an object that it cannot release;
# Python prints that and goes on, and no program can keep it from doing so.
H5PY_STRUCK = re.compile(
    r"(Traceback \(most recent call last\):\n  File \"h5py/.*\n\w+: .*\n)?"
    r"Exception ignored in: .*h5py.*\n"
    r"Traceback \(most recent call last\):\n  File \"h5py/.*\n\w+: .*\n"
)


def faults_of(outcome: Outcome, may: Iterable[int] = ()) -> list[str]:
    """What is wrong with how a command ended.

    Args:
        outcome: of the command.
        may: further exit statuses that are right here, -9 after our own SIGKILL for one.
    """
    if outcome.ended_by == "hang":
        return [f"hangs: no end after {outcome.seconds:.0f} s"]
    if outcome.ended_by == "memory":
        return ["takes more memory than the campaign grants"]
    if outcome.status == INTERRUPTED:
        outcome = replace(outcome, stderr=H5PY_STRUCK.sub("", outcome.stderr))
    found = []
    if "Traceback (most recent call last)" in outcome.stdout + outcome.stderr:
        found.append(f"traceback: {last_line(outcome.stderr or outcome.stdout)}")
    if outcome.status not in (0, USER_ERROR, INTERRUPTED, *may):
        found.append(f"ends with {_status_name(outcome.status)}")
    return found or _noise(outcome)


def _noise(outcome: Outcome) -> list[str]:
    """What of its standard error is not meant for the user."""
    lines = [
        line
        for line in outcome.stderr.splitlines()
        if line.strip() and not PROGRESS_BAR.search(line) and not line.startswith(TOLD)
    ]
    if outcome.status == USER_ERROR:
        if lines and PARSING_BOX.match(lines[0]):
            return []
        errors = [line for line in lines if ERROR.match(line)]
        if len(errors) != 1:
            return [f"ends with 2 and {len(errors)} error sentences"]
        lines.remove(errors[0])
    elif outcome.status == INTERRUPTED:
        lines = [line for line in lines if not line.startswith("stopped")]
    if lines and outcome.status >= 0:
        return [f"noise on the terminal: {lines[0][:200]}"]
    return []


def _status_name(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "(nothing)"


def partial_files(folder: Path) -> list[str]:
    """Faults: files begun and never finished."""
    left = [path.relative_to(folder).as_posix() for path in folder.rglob("*.partial*")]
    return [f"partial files left: {_some(left)}"] if left else []


def changed_inputs(folder: Path, before: dict[str, str], may_change: Iterable[str]) -> list[str]:
    """Faults: files that stood there and are no longer what they were.

    Args:
        folder: the world.
        before: `raw_digests` of it before the command.
        may_change: beginnings of the paths that the command owns.
    """
    own, after = tuple(may_change), raw_digests(folder)
    changed = [
        path
        for path, content in before.items()
        if after.get(path) != content and not (own and path.startswith(own))
    ]
    return [f"changed or removed what is not its own: {_some(changed)}"] if changed else []


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Faults: a result that is not what an undisturbed call makes."""
    told = {
        "missing": [path for path in expected if path not in found],
        "too many": [path for path in found if path not in expected],
        "different": [
            path for path in expected if found.get(path, expected[path]) != expected[path]
        ],
    }
    return [f"{what}: {_some(paths)}" for what, paths in told.items() if paths]


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(sorted(paths)[:MOST_NAMED]) + more
