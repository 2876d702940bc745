"""What happens in the forked process: a script of the project, run as Python itself would.

File operations are counted on the way, so that a case can strike at the n-th of them.
"""

import atexit
import faulthandler
import os
import resource
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Audit events of what changes a disk; "open" counts where it may write.
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate")
INTERRUPTED = 130


@dataclass(frozen=True)
class Strike:
    """A signal sent by the process to itself at its n-th file operation.

    Attributes:
        operation: counted from 1; 0 never strikes.
        number: of the signal.
    """

    operation: int = 0
    number: int = signal.SIGKILL


def become(
    script: Path, arguments: list[str], here: Path, log: Path, strike: Strike, most_bytes: int
) -> None:
    """Turn this fresh fork into the command; never returns.

    Args:
        script: to run.
        arguments: after the script's name.
        here: working directory.
        log: existing folder, which takes `stdout`, `stderr` and `operations`.
        strike: when to be struck.
        most_bytes: largest size of a file that it may write; 0 for no limit.
    """
    try:
        # What the parent means to do at its own end, such as removing its folders, is not ours.
        atexit._clear()
        faulthandler.disable()
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.excepthook, threading.excepthook = sys.__excepthook__, threading.__excepthook__
        sys.unraisablehook = sys.__unraisablehook__
        _redirect(log)
        os.chdir(here)
        if most_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        sys.argv = [str(script), *arguments]
        sys.path[0] = str(script.parent)
        count = _count_operations(strike)
        status = _run(script)
        sys.stdout.flush()
        (log / "operations").write_text(str(count()))
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stderr.flush()
        os._exit(status)


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(log / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def _count_operations(strike: Strike) -> Callable[[], int]:
    counted, process = 0, os.getpid()

    def watch(event: str, arguments: tuple) -> None:
        nonlocal counted
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & (os.O_WRONLY | os.O_RDWR):
                return
        elif event not in CHANGES:
            return
        # Processes that the command starts of its own inherit the hook.
        if os.getpid() == process:
            counted += 1
            if counted == strike.operation:
                os.kill(process, strike.number)

    sys.addaudithook(watch)
    return lambda: counted


def _run(script: Path) -> int:
    """Exit status, after all that the interpreter does at its end."""
    status = 0
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as ended:
        status = _status(ended.code)
    except KeyboardInterrupt:
        traceback.print_exc()
        status = INTERRUPTED
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    return status


def _status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1
