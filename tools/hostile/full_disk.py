"""Commands on a disk that is full before they end; then it has space, and they go on."""

import os
import subprocess
from pathlib import Path

import numpy as np

from hostile.case import Case
from hostile.fingerprint import outline
from hostile.kills import judge_result
from hostile.scenarios import Scenario, scenarios
from hostile.verdict import USER_ERROR, differences, faults_of, partial_files
from hostile.world import World

PLENTY = 1 << 31
BLOCK = 4096


def attack(world: World, rng: np.random.Generator) -> Case:
    """A command that has too little space, and the same with enough."""
    able = [each for each in scenarios() if each.can_run(world.base) and writes(world, each)]
    scenario = able[rng.integers(len(able))]
    mounted = can_mount(world.work)
    if mounted:
        return _small_disk(world, scenario, rng)
    return _small_files(world, scenario, rng)


def writes(world: World, scenario: Scenario) -> bool:
    return scenario.name not in ("compare", "clear_cache")


def can_mount(work: Path) -> bool:
    """Whether this process may mount a disk in memory."""
    if os.geteuid() != 0:
        return False
    place = work / "mounted"
    place.mkdir(exist_ok=True)
    if not _mount(place, PLENTY):
        return False
    unmount(place)
    return True


def _small_disk(world: World, scenario: Scenario, rng: np.random.Generator) -> Case:
    needed = _bytes_made(world, scenario)
    space = int(rng.random() * needed) // BLOCK * BLOCK
    case = Case(f"{scenario.command}; on a disk with {space:,} of {needed:,} bytes free")
    world.clear()
    _mount(world.here, PLENTY)
    try:
        world.fill()
        state = os.statvfs(world.here)
        used = (state.f_blocks - state.f_bfree) * state.f_frsize
        _resize(world.here, used + space)
        outcome = world.run(scenario.command, world.limit(scenario))
        case.add(faults_of(outcome), outcome)
        case.add(partial_files(world.here), outcome)
        _resize(world.here, PLENTY)
        _go_on(world, scenario, case, outcome.status)
    finally:
        unmount(world.here)
    return case


def _small_files(world: World, scenario: Scenario, rng: np.random.Generator) -> Case:
    most = int(rng.integers(1, _bytes_made(world, scenario)))
    case = Case(f"{scenario.command}; no file may have more than {most:,} bytes")
    world.reset()
    outcome = world.run(scenario.command, world.limit(scenario), most_bytes=most)
    case.add(faults_of(outcome), outcome)
    case.add(partial_files(world.here), outcome)
    _go_on(world, scenario, case, outcome.status)
    return case


def _go_on(world: World, scenario: Scenario, case: Case, status: int) -> None:
    again = world.run(scenario.command, world.limit(scenario))
    case.add(faults_of(again), again)
    if again.status and not (scenario.once and status == 0 and again.status == USER_ERROR):
        case.add([f"with space again it ends with {again.status}"], again)
    if "runs/cache" in scenario.owns:
        # What finds no space in a store is computed instead, to other roundings.
        case.add(_judge_outline(world, scenario), again)
    else:
        case.add(judge_result(world, scenario), again)


def _judge_outline(world: World, scenario: Scenario) -> list[str]:
    """Faults: files or epochs too many or too few, stores aside."""
    expected, found = (
        {path: rows for path, rows in of.items() if not path.startswith("runs/cache/")}
        for of in (world.undisturbed(scenario).outline, outline(world.here))
    )
    return differences(expected, found) + partial_files(world.here)


def _bytes_made(world: World, scenario: Scenario) -> int:
    """What a command takes on the disk, about."""
    made = world.undisturbed(scenario).made_bytes
    return max(made, 4 * BLOCK)


def _mount(place: Path, size: int) -> bool:
    call = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "campaign", str(place)]
    try:
        return subprocess.run(call, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _resize(place: Path, size: int) -> None:
    call = ["mount", "-o", f"remount,size={size}", str(place)]
    subprocess.run(call, capture_output=True, check=True)


def unmount(place: Path) -> None:
    """Take a mounted disk away, even if something still uses it."""
    if subprocess.run(["umount", str(place)], capture_output=True).returncode:
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True)
