"""Attack the project as a hostile user, a hostile machine and bad luck would.

    python tools/campaign.py --seconds 600 --seed 3

It draws a few photographs, makes data sets, runs, stores and exports of them with a network of two
convolutions, and then at random

    bad-values   gives every flag of every command what it should not take
    tampering    changes the files of runs, data sets, stores and exports behind their back
    kills        strikes commands down, by SIGKILL and Ctrl-C, at a file operation or a moment
    mutants      damages JPEG, PNG, WebP, GIF and TIFF files, and adds FIFOs, sockets and loops
    full-disk    lets the disk be full (a disk in memory where it may mount one, else by limits)
    two-at-once  starts commands twice at the same time, and those that meet in a folder

A command may end with 0, with 2 and one sentence, or with 130 after Ctrl-C. Everything else is
fallen: a traceback, a hang, a partial file left behind, an input changed, a line of a C library
on the terminal, and a result that is not what an undisturbed call makes. What fell is printed with
the line that repeats it:

    python tools/campaign.py --case tampering:3000017

The cases and their order follow from the seed; how many are reached, from the seconds. Ends with
status 1 if anything fell. It runs as any user on Linux; as root it can mount disks.
"""

import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import Gigabytes, Seed


@dataclass
class Settings:
    """Attack the project at random and tell what fell."""

    # how long to go on; the last case is finished, and one of each kind is tried
    seconds: Annotated[float, Interval(gt=0, le=1e6)] = 60.0
    # another seed draws other cases
    seed: Seed = 0
    # only these kinds: bad-values, tampering, kills, mutants, full-disk, two-at-once
    kinds: tuple[str, ...] = ()
    # repeat one case, KIND:SEED as it was printed, and nothing else
    case: str | None = None
    # add every case to this file, a JSON line each
    log: Path | None = None
    # gigabytes of memory that a command may take
    memory_gb: Gigabytes = 6.0
    # keep the folder in which it all happened
    keep: bool = False

    def check(self) -> None:
        """Refuse what is wrong before the photographs are drawn."""
        from hostile.kinds import KINDS

        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown:
            raise UserError(f"--kinds {unknown[0]} is none of {', '.join(KINDS)}")


def main(settings: Settings) -> None:
    start_with_one_thread()
    from hostile.kinds import case_names, run_case
    from hostile.process import load_everything
    from hostile.tally import Tally
    from hostile.world import World

    settings.check()
    names = case_names(settings.seed)
    if settings.case is not None:
        names = iter([parse_case(settings.case)])
    load_everything()
    work = Path(tempfile.mkdtemp(prefix="campaign-"))
    put_temporary_files_in(work / "temporary")
    tally, world = Tally(settings.log), World(work, settings.memory_gb)
    try:
        tell_world(world)
        end = time.monotonic() + settings.seconds
        for kind, seed in names:
            if settings.kinds and kind not in settings.kinds:
                continue
            case = run_case(world, kind, seed)
            if settings.case is not None:
                print(case.told)
            tally.add(kind, seed, case)
            if settings.case is None and time.monotonic() > end and tally.has_all(settings.kinds):
                break
    finally:
        world.close()
        print(tally.table(), flush=True)
        if settings.keep:
            print(f"kept {work}")
        else:
            remove(work)
    sys.exit(1 if tally.fell else 0)


def start_with_one_thread() -> None:
    """Begin anew with libraries told to start no threads, which forks would lose.

    They read that as they are loaded, and some are by now.
    """
    wanted = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def put_temporary_files_in(folder: Path) -> None:
    """Let the commands have their temporary files in a folder: who is killed clears none away."""
    folder.mkdir()
    os.environ["TMPDIR"] = str(folder)
    # It holds the place that it looked up first.
    tempfile.tempdir = None


def parse_case(name: str) -> tuple[str, int]:
    from hostile.kinds import KINDS

    kind, _, seed = name.partition(":")
    if kind not in KINDS or not seed.isdecimal():
        raise UserError(f"--case {name} is no case; give KIND:SEED as it was printed")
    return kind, int(seed)


def tell_world(world) -> None:
    """Make the world and say what of it could not be made."""
    started = time.monotonic()
    failed = world.make()
    print(f"world    {len(world.before)} files made in {time.monotonic() - started:.0f} s")
    for outcome in failed:
        print(f"failed   {outcome.command}\n{outcome.stdout}{outcome.stderr}")
    if failed:
        raise UserError("the commands above fail undisturbed; mend them first")


def remove(work: Path) -> None:
    for path in work.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    run_command(main, Settings)
