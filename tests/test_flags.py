"""Every number that every command takes: what it may be, and what is said of one it may not."""

import importlib
import math
import sys
from dataclasses import MISSING, fields, make_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest
from annotated_types import Interval
from commands import REPOSITORY

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import check_flags, in_interval, metadata, values_by_name

FOLDERS = (".", "recipes", "tools", "benchmarks", "finegrain")
# Scripts and modules by their path in the repository.
COMMANDS = sorted(
    str(path.relative_to(REPOSITORY))
    for folder in FOLDERS
    for path in (REPOSITORY / folder).glob("**/*.py" if folder == "finegrain" else "*.py")
    if "run_command(main, Settings)" in path.read_text(encoding="utf-8")
)

# Of what values are given by name.
NAMES = ["vgg16", "runs/a=b"]


def load(command: str) -> ModuleType:
    path = REPOSITORY / command
    if path.is_relative_to(REPOSITORY / "finegrain"):
        return importlib.import_module(command.removesuffix(".py").replace("/", "."))
    sys.path.insert(0, str(path.parent))
    try:
        return importlib.import_module(path.stem)
    finally:
        sys.path.remove(str(path.parent))


def numbers(command: str) -> dict[str, tuple[type, Any, Interval | None]]:
    """Each numeric flag of a command: whether int or float, its type, its range."""
    found = {}
    for name, hint in get_type_hints(load(command).Settings, include_extras=True).items():
        kinds = {kind for kind in inside(hint) if kind in (int, float)}
        if kinds:
            ranges = [one for one in metadata(hint) if isinstance(one, Interval)]
            found[name] = (kinds.pop(), hint, ranges[0] if ranges else None)
    return found


def inside(hint: Any):
    """A type and all types it is made of."""
    yield hint
    for one in get_args(hint):
        yield from inside(one)


def wrong_values(kind: type, interval: Interval):
    """Numbers that the range leaves out: the nearest ones, far ones, and those that are none."""
    for bound, side in ((interval.ge, -1), (interval.le, 1)):
        if bound is not None:
            yield bound + side if kind is int else math.nextafter(bound, side * math.inf)
    yield from (bound for bound in (interval.gt, interval.lt) if bound is not None)
    yield from (10**30, -(10**30)) if kind is int else (math.nan, math.inf, -math.inf)


def test_the_commands_are_found():
    assert {"single_model.py", "tools/report.py", "finegrain/drawn/collection.py"} < set(COMMANDS)
    assert len(COMMANDS) > 35


@pytest.mark.parametrize("command", COMMANDS)
def test_every_number_has_a_range_with_two_ends_that_its_default_keeps(command):
    defaults = {field.name: field.default for field in fields(load(command).Settings)}
    for name, (_, _, interval) in numbers(command).items():
        assert interval is not None, name
        assert None not in (interval.ge or interval.gt or 0, interval.le or interval.lt), name
        assert (interval.ge is None) != (interval.gt is None), name
        default = defaults[name]
        for value in default if isinstance(default, tuple) else (default,):
            assert value in (None, MISSING) or in_interval(value, interval), name


@pytest.mark.parametrize("command", COMMANDS)
def test_numbers_out_of_range_are_refused_by_name(command):
    for name, (kind, hint, interval) in numbers(command).items():
        one_flag = make_dataclass("Settings", [(name, hint)])
        for value in wrong_values(kind, interval):
            given = (value,) if "tuple" in str(hint) else value
            with pytest.raises(UserError) as refused:
                check_flags(one_flag(given))
            words = str(refused.value)
            assert words.startswith(f"--{name.replace('_', '-')} must be "), words
            assert words.endswith(f"but is {value}"), words


@pytest.mark.parametrize(
    "command,flags,sentence",
    [
        ("single_model.py", ["--seed", "9" * 400], "and at most 4294967295, but is 999"),
        (
            "single_model.py",
            ["--seed", "4294967296"],
            "--seed must be at least 0 and at most 4294967295, but is 4294967296",
        ),
        ("froze_fine_tune.py", ["--momentum", "inf"], "--momentum must be at least 0 and below 1"),
        ("froze_fine_tune.py", ["--positive-rate", "nan"], "--positive-rate must be at least 0"),
        ("single_model.py", ["--image-size", "100000"], "--image-size must be at least 32"),
        ("single_model.py", ["--reduce-patience", "-1"], "--reduce-patience must be at least 0"),
        ("trick_tune.py", ["--cache-gb", "nan"], "--cache-gb must be at least 0"),
        (
            "recipes/merge_features.py",
            ["--features", "x.h5", "--c", "1", "inf"],
            "--c must be above 0 and at most 1000000000, but is inf",
        ),
        ("tools/demo_page.py", ["--most-megabytes", "nan"], "--most-megabytes must be above 0"),
        ("tools/report.py", ["--output", "d/" * 2000 + "x"], "leads through 2001 folders"),
        ("tools/report.py", ["--output", "x" * 300], "is longer than the file system allows"),
        ("tools/show_pairs.py", ["--output", "pairs.exe"], "--output pairs.exe must end in .png"),
    ],
)
def test_a_wrong_flag_ends_a_command_with_one_sentence(
    monkeypatch, capsys, command, flags, sentence
):
    def main(_):
        raise AssertionError("the command was begun")

    module = load(command)
    asked = {
        field.name
        for field in fields(module.Settings)
        if field.default is MISSING and field.default_factory is MISSING
    }
    needed = [f"--{name}" for name in sorted(asked) if f"--{name}" not in flags]
    words = [word for flag in needed for word in (flag, "somewhere")]
    monkeypatch.setattr(sys, "argv", [command, *words, *flags])
    with pytest.raises(SystemExit) as ended:
        run_command(main, module.Settings)
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert sentence in errors and errors.count("\n") == 1


def test_a_flag_of_another_type_ends_a_command_too(script_here):
    status, _, errors = script_here(
        "single_model.py", "--data", "d", "--run", "r", "--frozen-epochs", "abc"
    )
    assert status == 2
    assert "--frozen-epochs" in errors and "Traceback" not in errors


def test_what_was_left_out_is_not_looked_at():
    settings = load("recipes/merge_features.py").Settings((Path("x.h5"),))
    assert settings.epochs is None and settings.plot is None
    check_flags(settings)


def test_a_value_by_name_comes_before_that_for_all():
    assert values_by_name("--weights", ["none", "vgg16=FILE"], NAMES, "imagenet") == {
        "vgg16": "FILE",
        "runs/a=b": "none",
    }
    assert values_by_name("--weights", [], NAMES, "imagenet") == dict.fromkeys(NAMES, "imagenet")


def test_names_and_values_may_hold_the_equals_sign():
    given = ["vgg16=a=b.weights.h5", "runs/a=b=c"]
    assert values_by_name("--weights", given, NAMES, "none") == {
        "vgg16": "a=b.weights.h5",
        "runs/a=b": "c",
    }


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["vgg=none"], "names vgg, which is none of vgg16"),
        (["vgg16=a", "vgg16=b"], "two values for vgg16, a and b"),
        (["a", "b"], "two values for all, a and b"),
    ],
)
def test_values_that_cannot_be_are_refused(texts, words):
    with pytest.raises(UserError, match=words):
        values_by_name("--weights", texts, NAMES, "none")
