"""Start a command of the project in a fork of this process, watch it, and say how it ended.

Keras and the library are imported once, here; a fork has them for nothing, where a fresh Python
takes five seconds. A fork is safe because nothing has been computed yet: TensorFlow's threads
start with its first operation, which `load_everything` makes sure of.
"""

import contextlib
import importlib
import os
import pkgutil
import shlex
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from hostile.child import Strike, become

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = os.sysconf("SC_PAGE_SIZE")
# How often a running command is looked at.
GLANCE = 0.01


@dataclass(frozen=True)
class Command:
    """A script of the repository and its arguments, to be called in the world's folder."""

    script: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return shlex.join(["python", self.script, *self.arguments])


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        status: exit status; -n where signal n ended it.
        ended_by: `itself`, `us` (a case's own strike), `hang` or `memory`.
        operations: file operations it made, None where it was struck down.
    """

    command: Command
    status: int
    stdout: str
    stderr: str
    seconds: float
    ended_by: str = "itself"
    operations: int | None = None


def load_everything() -> None:
    """Import Keras and every module of the library, without computing anything.

    Raises:
        RuntimeError: a thread is running, which a fork would lose.
    """
    from finegrain.quiet import load_keras

    load_keras()
    import finegrain
    from hostile.campaign_net import offer_campaign_net

    offer_campaign_net()
    for module in pkgutil.walk_packages(finegrain.__path__, "finegrain."):
        # Gradio takes long to load, for one command, and settles things as it is loaded.
        if module.name.startswith("finegrain.demo"):
            continue
        # What an optional requirement is missing for, no case needs either.
        with contextlib.suppress(ImportError):
            importlib.import_module(module.name)
    threads = Path("/proc/self/task")
    if threads.is_dir() and len(list(threads.iterdir())) > 1:
        raise RuntimeError("a library has started a thread on import; forks would lose it")


@dataclass
class Running:
    """A command that has been started."""

    command: Command
    pid: int
    log: Path
    started: float = field(default_factory=time.monotonic)
    ended: bool = False

    def wait(
        self,
        limit: float,
        most_gigabytes: float,
        kill_after: float = 0.0,
        number: int = signal.SIGKILL,
        patience: float = 0.0,
        even_silent: bool = False,
    ) -> Outcome:
        """Wait for its end, or end it.

        Args:
            limit: seconds after which it hangs.
            most_gigabytes: of memory, above which it is stopped.
            kill_after: seconds after its start at which it is struck; 0 never.
            number: of the signal that strikes.
            patience: seconds after which one that still prints is stopped with Ctrl-C; 0 never.
            even_silent: whether one that prints nothing is stopped so too.
        """
        ended_by = "itself"
        while True:
            pid, status, _ = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            age = time.monotonic() - self.started
            if kill_after and age > kill_after:
                ended_by, kill_after = "us", 0.0
                os.kill(self.pid, number)
            elif patience and age > patience and (even_silent or self._prints()):
                ended_by, patience = "us", 0.0
                os.kill(self.pid, signal.SIGINT)
            elif ended_by not in ("hang", "memory") and age > limit:
                ended_by = "hang"
                os.kill(self.pid, signal.SIGKILL)
            elif ended_by != "memory" and _memory(self.pid) > most_gigabytes * 1e9:
                ended_by = "memory"
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(GLANCE)
        self.ended = True
        # The processes that it started of its own may outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._outcome(os.waitstatus_to_exitcode(status), ended_by)

    def end(self) -> None:
        """Kill it, and what it has started, unless it has ended."""
        if not self.ended:
            self.ended = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def _prints(self) -> bool:
        return time.time() - (self.log / "stdout").stat().st_mtime < 5

    def _outcome(self, status: int, ended_by: str) -> Outcome:
        counted = self.log / "operations"
        outcome = Outcome(
            command=self.command,
            status=status,
            stdout=(self.log / "stdout").read_text(errors="backslashreplace"),
            stderr=(self.log / "stderr").read_text(errors="backslashreplace"),
            seconds=time.monotonic() - self.started,
            ended_by=ended_by,
            operations=int(counted.read_text()) if counted.is_file() else None,
        )
        shutil.rmtree(self.log)
        return outcome


def start(
    command: Command, here: Path, log: Path, strike: Strike | None = None, most_bytes: int = 0
) -> Running:
    """Start a command in a fork.

    Args:
        command: its script is looked for in the repository, unless absolute.
        here: its working directory.
        log: folder for its output, made afresh.
        strike: at which file operation to strike it.
        most_bytes: largest size of a file that it may write; 0 for no limit.
    """
    shutil.rmtree(log, ignore_errors=True)
    log.mkdir(parents=True)
    for name in ("stdout", "stderr"):
        (log / name).touch()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        script = REPOSITORY / command.script
        become(script, list(command.arguments), here, log, strike or Strike(), most_bytes)
    return Running(command, pid, log)


def _memory(pid: int) -> int:
    """Bytes of memory that a process holds, 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError, ValueError):
        return 0
