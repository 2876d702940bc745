"""What the flags of the commands may be, as their types declare it, and refusing all else.

    batch_size: BatchSize = 32
    top: Annotated[int, Interval(ge=1, le=100)] = 5
    output: Annotated[Path, Suffixes(".jpg", ".png")] = Path("similar.jpg")

Every bound leaves room for whatever a machine of the next years can do; it is there for slips of
the finger. `finegrain.command.run_command` refuses what lies outside.
"""

import errno
import math
import operator
import os
import reprlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from annotated_types import Interval

from finegrain.errors import UserError

# All that numpy, scikit-learn and Keras take as a seed.
Seed = Annotated[int, Interval(ge=0, le=2**32 - 1)]
# Side in pixels; below 32 no backbone has a feature map left.
ImageSize = Annotated[int, Interval(ge=32, le=4096)]
BatchSize = Annotated[int, Interval(ge=1, le=100_000)]
Epochs = Annotated[int, Interval(ge=1, le=10_000)]
# Of a stage that may be left out.
StageEpochs = Annotated[int, Interval(ge=0, le=10_000)]
Patience = Annotated[int, Interval(ge=0, le=10_000)]
LearningRate = Annotated[float, Interval(gt=0, le=100)]
ClipNorm = Annotated[float, Interval(ge=0, le=1_000_000)]
LayerDecay = Annotated[float, Interval(gt=0, le=1)]
LossWeight = Annotated[float, Interval(ge=0, le=1000)]
# A part that may be nothing, but never all.
Share = Annotated[float, Interval(ge=0, lt=1)]
# A part that is neither nothing nor all.
ProperShare = Annotated[float, Interval(gt=0, lt=1)]
Probability = Annotated[float, Interval(ge=0, le=1)]
# What logits are divided by.
Temperature = Annotated[float, Interval(gt=0, le=100)]
WarmUpEpochs = Annotated[float, Interval(ge=0, le=10_000)]
MixingAlpha = Annotated[float, Interval(ge=0, le=10)]
Degrees = Annotated[float, Interval(ge=0, le=180)]
ShearDegrees = Annotated[float, Interval(ge=0, lt=90)]
# Augmented views of an image.
Views = Annotated[int, Interval(ge=0, le=1000)]
# Width of a layer that may be left out.
Width = Annotated[int, Interval(ge=0, le=100_000)]
Threads = Annotated[int, Interval(ge=1, le=256)]
# GPUs, TPUs or other devices; 0 for all there are.
Devices = Annotated[int, Interval(ge=0, le=4096)]
Minutes = Annotated[float, Interval(gt=0, le=100_000)]
Gigabytes = Annotated[float, Interval(ge=0, le=1_000_000)]
# Of images, classes, people, repetitions.
Count = Annotated[int, Interval(ge=1, le=100_000_000)]
CountOrZero = Annotated[int, Interval(ge=0, le=100_000_000)]

# Python's own calls on a path go through its folders by recursion, up to some 900 of them.
MOST_FOLDERS = 200
# How an `Interval` and the module `operator` call them, and a sentence.
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


class Suffixes:
    """Declares what a file's name may end in: lower case, with the dot; upper case is taken too."""

    def __init__(self, *allowed: str):
        self.allowed = allowed


def check_flags(settings: Any) -> None:
    """Refuse the first value outside what the fields of a dataclass of flags declare, and NaN."""
    hints = get_type_hints(type(settings), include_extras=True)
    declared = {
        flag_name(field.name): list(metadata(hints[field.name])) for field in fields(settings)
    }
    for flag, value in flag_values(settings):
        if isinstance(value, Path):
            _check_path(flag, value)
        # None is a flag that was left out.
        for limit in declared[flag] if value is not None else ():
            if isinstance(limit, Interval):
                _check_number(flag, value, limit)
            elif isinstance(limit, Suffixes) and value.suffix.lower() not in limit.allowed:
                raise UserError(f"{flag} {value} must end in {' or '.join(limit.allowed)}")


def flag_name(field: str) -> str:
    """The flag of a setting: `--batch-size` of `batch_size`."""
    return f"--{field.replace('_', '-')}"


def flag_values(settings: Any) -> Iterator[tuple[str, Any]]:
    """The flags with their values; a flag of several values comes once with each of them."""
    for field in fields(settings):
        given = getattr(settings, field.name)
        for value in given if isinstance(given, tuple) else (given,):
            yield flag_name(field.name), value


def metadata(hint: Any) -> Iterator[Any]:
    """What `Annotated` adds to a type and to the types inside it."""
    yield from getattr(hint, "__metadata__", ())
    for inside in get_args(hint):
        yield from metadata(inside)


def in_interval(value: float, interval: Interval) -> bool:
    """Whether a number lies inside; NaN never does."""
    # A whole number may be too large to be asked.
    if not isinstance(value, int) and not math.isfinite(value):
        return False
    return all(getattr(operator, name)(value, bound) for name, bound in _bounds(interval))


def _bounds(interval: Interval) -> list[tuple[str, Any]]:
    found = ((name, getattr(interval, name)) for name in BOUNDS)
    return [(name, bound) for name, bound in found if bound is not None]


def _check_number(flag: str, value: float, interval: Interval) -> None:
    if not in_interval(value, interval):
        allowed = " and ".join(f"{BOUNDS[name]} {bound}" for name, bound in _bounds(interval))
        raise UserError(f"{flag} must be {allowed}, but is {value}")


def _check_path(flag: str, path: Path) -> None:
    """Refuse no path at all, and what no file can be called: on that Python's own calls fail."""
    # An empty path reads as the folder that the command is started in.
    if path == Path() and any(word == "" or word.endswith("=") for word in sys.argv[1:]):
        raise UserError(f"{flag} is empty; name a path, . for the current folder")
    if len(path.parts) > MOST_FOLDERS:
        raise UserError(
            f"{flag} leads through {len(path.parts)} folders; name a path of at most {MOST_FOLDERS}"
        )
    try:
        os.lstat(path)
    except ValueError as error:
        raise UserError(f"{flag} {str(path)!r} is no path ({error}); name another") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            shown = reprlib.repr(str(path))
            raise UserError(
                f"{flag} {shown} is longer than the file system allows; name another"
            ) from error


def values_by_name(
    flag: str, texts: Sequence[str], names: Sequence[str], default: str
) -> dict[str, str]:
    """What a flag says for each of the known names, in their order: `--weights none xception=FILE`.

    A text is `name=value` for one name, or `value` for all the others; names of which nothing is
    said have the default. Raises a `UserError` for an unknown name, or two values for one.
    """
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals:
            name, value = "", text
        # A file name may hold a sign of equality itself.
        name, value = next(
            ((known, text[len(known) + 1 :]) for known in names if text.startswith(f"{known}=")),
            (name, value),
        )
        if name and name not in names:
            raise UserError(f"{flag} {text} names {name}, which is none of {', '.join(names)}")
        if name in given:
            whom = name or "all"
            raise UserError(f"{flag} gives two values for {whom}, {given[name]} and {value}")
        given[name] = value
    return {name: given.get(name, given.get("", default)) for name in names}
