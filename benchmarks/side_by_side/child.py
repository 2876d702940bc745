"""Run a command as a process of its own and tell what it cost."""

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from finegrain.errors import UserError

ROOT = Path(__file__).parents[2]
SHOWN_LINES = 15


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes:
        wall_seconds: from its start to its end, imports and all.
        cpu_seconds: on all cores; hardly moved by whatever else runs on the machine.
        peak_bytes: the most memory that it, or a process it started, held at once; on Linux at
            least what the process that measures held when it started it.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def run_script(words: list[str], log: Path) -> Cost:
    """Run a script of the project with this Python.

    Args:
        words: the script's path below the repository, and its arguments.
        log: file that gets what the script prints, behind what stands there.

    Returns:
        What it took.

    Raises:
        UserError: it failed; its last lines are shown.
    """
    script, *arguments = words
    print(f"$ python {shlex.join(words)}", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as output:
        output.write(f"$ python {shlex.join(words)}\n")
        output.flush()
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, str(ROOT / script), *arguments], stdout=output, stderr=output
        )
        # Of this child alone, where getrusage would give the largest of all so far.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
        print("\n".join(last))
        raise UserError(f"{script} ended with status {process.returncode}; all it said is in {log}")
    # Linux counts in kilobytes.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Cost(round(wall, 3), round(usage.ru_utime + usage.ru_stime, 3), peak)
