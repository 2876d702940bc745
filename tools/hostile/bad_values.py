"""Values that no flag should take, for every flag of every command, from its own settings."""

import dataclasses
import os
import runpy
import socket
import types
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import tyro

from hostile.case import Case
from hostile.process import REPOSITORY, Command
from hostile.scenarios import PHOTO, Scenario, scenarios, servers
from hostile.verdict import changed_inputs, faults_of, partial_files
from hostile.world import World

NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "1",
    "2",
    "-0.0",
    "0.5",
    "100000",
    "1000000",
    "4294967296",
    "18446744073709551616",
    "1e300",
    "1e-300",
    "",
    "abc",
    "1,5",
    "0x10",
    "٣",
    "None",
    "9" * 400,
)
TEXTS = (
    "",
    " ",
    "abc",
    "../..",
    "-1",
    "nan",
    "0",
    "None",
    "ünï☃",
    "x" * 5000,
    "a\nb",
    "\udcff",
    "*",
    "a=b",
    "=",
    ",",
    "single,,multi",
    "runs/single,runs/single",
    "CampaignNet=absent",
    "{0}",
    "%s",
    "train",
)
# Every one of them exists in the world, or cannot; none leads out of the work folder.
PATHS = (
    "",
    ".",
    "..",
    "../..",
    "photos",
    "data",
    "data/manifest.csv",
    "data/train",
    "test",
    "test/0.jpg",
    "test/test.json",
    "sample.csv",
    "runs",
    "runs/single",
    "runs/multi",
    "runs/single/model.keras",
    "runs/single/config.json",
    "runs/multi/classes.json",
    "features",
    "features/campaignnet.h5",
    "runs/cache",
    "absent",
    "absent/deep/down.txt",
    "absent.png",
    "absent.jpg",
    "absent.csv",
    "x.exe",
    "odd/fifo",
    "odd/socket",
    "odd/dangling",
    "odd/itself",
    "odd/link-to-photo.jpg",
    "odd/link-to-run",
    "sample.csv/x",
    "ünï ☃/é.txt",
    "x" * 300,
    "d/" * 2000 + "x",
    "a\nb.csv",
    "\udcff.csv",
    "-dash",
    "odd/closed/x",
    "market",
    "runs/single/1-frozen",
)
# Seconds after which a command hangs, and after which one that still prints is stopped by Ctrl-C.
LIMIT, PATIENCE = 120.0, 20.0


def attack(world: World, rng: np.random.Generator) -> Case:
    """One command with one bad value; now and then with two."""
    known = [*scenarios(), *servers()]
    able = [scenario for scenario in known if scenario.can_run(world.base)]
    # Commands with many flags come more often.
    weights = np.array([len(flags_of(scenario.command.script)) for scenario in able], float)
    scenario = able[rng.choice(len(able), p=weights / weights.sum())]
    allowed = list(scenario.owns)
    world.reset()
    _lay_out_odd_paths(world.here / "odd")
    command = scenario.command
    for _ in range(1 if rng.random() < 0.85 else 2):
        flags = flags_of(command.script)
        name, kind = flags[rng.integers(len(flags))]
        values = _values(kind)
        value = values[rng.integers(len(values))]
        command = with_value(command, name, value)
        allowed += _own_by_right(scenario, name, value)
    case = Case(shown(command))
    outcome = world.run(command, LIMIT, patience=PATIENCE, even_silent=scenario.serves)
    case.add(faults_of(outcome), outcome)
    case.add(partial_files(world.here), outcome)
    case.add(changed_inputs(world.here, world.before, allowed), outcome)
    return case


def shown(command: Command) -> str:
    """The command line, its longest arguments shortened."""
    short = (
        text if len(text) < 80 else f"{text[:20]}...({len(text)} characters)"
        for text in command.arguments
    )
    return repr(str(Command(command.script, tuple(short))))[1:-1]


@cache
def flags_of(script: str) -> tuple[tuple[str, str], ...]:
    """Name and kind of every flag of a script: `number`, `text`, `path`, `switch` or `choice`.

    The kind of an argument without a flag begins with `+`.
    """
    settings = runpy.run_path(str(REPOSITORY / script), run_name="campaign")["Settings"]
    hints = typing.get_type_hints(settings, include_extras=True)
    return tuple((field.name, _kind(hints[field.name])) for field in dataclasses.fields(settings))


def _kind(hint: object) -> str:
    if typing.get_origin(hint) is typing.Annotated:
        inside, *notes = typing.get_args(hint)
        return "+" * (tyro.conf.Positional in notes) + _kind(inside)
    if typing.get_origin(hint) is typing.Literal:
        return "choice"
    if hint is bool:
        return "switch"
    parts = list(_parts(hint))
    if Path in parts:
        return "path"
    if int in parts or float in parts:
        return "number"
    return "text"


def _parts(hint: object) -> Iterator[object]:
    if typing.get_origin(hint) is typing.Annotated:
        yield from _parts(typing.get_args(hint)[0])
    elif typing.get_origin(hint) in (types.UnionType, typing.Union, tuple):
        for part in typing.get_args(hint):
            yield from _parts(part)
    else:
        yield hint


def _values(kind: str) -> tuple[str, ...]:
    if kind.endswith("path"):
        return PATHS
    return NUMBERS if kind == "number" else TEXTS


def with_value(command: Command, field: str, value: str) -> Command:
    """The command with one flag set to a value, in place of what it had or besides."""
    arguments, flag = list(command.arguments), f"--{field.replace('_', '-')}"
    kind = dict(flags_of(command.script))[field]
    if kind.startswith("+"):
        places = [place for place, text in enumerate(arguments) if text == PHOTO]
        places = places or [len(arguments)]
        arguments[places[-1] : places[-1] + 1] = [value]
    elif kind == "switch":
        arguments.append(f"{flag}={value}")
    elif flag in arguments:
        arguments[arguments.index(flag) + 1] = value
    else:
        arguments += [flag, value]
    return Command(command.script, tuple(arguments))


def _own_by_right(scenario: Scenario, field: str, value: str) -> list[str]:
    """What a command may change because the value names a place of its kind."""
    places = {
        "run": ("runs/single", "runs/multi", "odd/link-to-run"),
        "cache": ("runs/cache",),
        "output": ("features",) if "export_features" in scenario.command.script else (),
    }
    if scenario.command.script == "img2keras.py":
        places["output"] = ("data", "market")
    if value == "odd/link-to-run":
        return ["runs/single"]
    return [value] if value in places.get(field, ()) else []


def _lay_out_odd_paths(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    here = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(f"/proc/self/fd/{here}/socket")
    os.close(here)
    (folder / "dangling").symlink_to("nowhere")
    (folder / "itself").symlink_to("itself")
    (folder / "link-to-photo.jpg").symlink_to("../test/0.jpg")
    (folder / "link-to-run").symlink_to("../runs/single")
    (folder / "closed").mkdir(mode=0o000)
