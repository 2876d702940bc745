"""Run the project's scripts as a user does."""

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from annotated_types import Interval

from finegrain.errors import UserError
from finegrain.flags import flag_name

# Trainings that run side by side.
AtOnce = Annotated[int, Interval(ge=1, le=256)]
# What a library reads to learn how many threads it may start.
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def command(script: str, **flags: Any) -> list[str]:
    """The words of a command line.

    Args:
        script: path below the repository.
        flags: by the names of the settings; True and False are `--x` and `--no-x`, several values
            follow one another, None leaves a flag out.
    """
    words = [script]
    for name, value in flags.items():
        if isinstance(value, bool):
            words.append(flag_name(name if value else f"no_{name}"))
        elif value is not None:
            values = value if isinstance(value, list | tuple) else (value,)
            words += [flag_name(name), *map(str, values)]
    return words


def call(script: str, *, is_alone: bool = True, **flags: Any) -> None:
    """Run a script, showing the command; for the arguments see `command`.

    One that is not alone computes with one thread, and what it prints is shown if it fails.

    Raises:
        UserError: it failed.
    """
    words = command(script, **flags)
    print(f"$ python {shlex.join(words)}", flush=True)
    environment = os.environ if is_alone else {**os.environ, **dict.fromkeys(THREADS, "1")}
    done = subprocess.run(
        [sys.executable, *words],
        check=False,
        env=environment,
        stdout=None if is_alone else subprocess.PIPE,
        stderr=None if is_alone else subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(done.stdout or "", end="", flush=True)
        raise UserError(f"{script} ended with status {done.returncode}; see its message above")


def side_by_side(jobs: Iterable[Callable[[], None]], at_once: int) -> None:
    """Do all jobs, so many at a time; the first that fails ends it, once those begun are done.

    Two trainings of one thread each get more done on two cores than one training of two threads,
    for most steps of a small network are too short to be shared.
    """
    failed = threading.Event()

    def do(job: Callable[[], None]) -> None:
        if failed.is_set():
            return
        try:
            job()
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(at_once) as pool:
        try:
            for each in [pool.submit(do, job) for job in jobs]:
                each.result()
        finally:
            # Ctrl-C comes to this thread; nothing new shall begin after it.
            failed.set()
