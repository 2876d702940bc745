"""Hold each flag of a command against what is declared beside it, before anything is done.

top: Annotated[int, Interval(ge=1, le=100)] = 5
output: Annotated[Path, Suffixes(".jpg", ".png")] = Path("similar.jpg")
"""

import errno
import math
import os
import reprlib
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from annotated_types import Interval

from finegrain.errors import UserError

# Python's own calls on a path go through its folders by recursion, up to some 900 of them.
MOST_FOLDERS = 200


class Suffixes:
    """Declares what the name of a file may end in.

    Args:
        allowed: lower case, with the dot; upper case is taken as well.
    """

    def __init__(self, *allowed: str):
        self.allowed = allowed


def check_flags(settings: Any) -> None:
    """Refuse values outside what the flags' types declare, and numbers that are none.

    Args:
        settings: a dataclass of flags. Of a flag of several values each is looked at, and a flag
            that was left out (None) not at all.

    Raises:
        UserError: names the first such flag, its value and what it may be.
    """
    hints = get_type_hints(type(settings), include_extras=True)
    declared = {
        flag_name(field.name): list(metadata(hints[field.name])) for field in fields(settings)
    }
    for flag, value in flag_values(settings):
        if isinstance(value, Path):
            _check_path(flag, value)
        for limit in declared[flag]:
            if isinstance(limit, Interval) and value is not None:
                _check_number(flag, value, limit)
            elif isinstance(limit, Suffixes) and value is not None:
                _check_suffix(flag, value, limit)


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
    # Whatever can be compared may bound an `Interval`; here it is numbers.
    bounds: Any = interval
    return (
        # A whole number may be too large to be asked.
        (isinstance(value, int) or math.isfinite(value))
        and (bounds.ge is None or value >= bounds.ge)
        and (bounds.gt is None or value > bounds.gt)
        and (bounds.le is None or value <= bounds.le)
        and (bounds.lt is None or value < bounds.lt)
    )


def _check_number(flag: str, value: float, interval: Interval) -> None:
    if in_interval(value, interval):
        return
    bounds = (
        ("at least", interval.ge),
        ("above", interval.gt),
        ("at most", interval.le),
        ("below", interval.lt),
    )
    allowed = " and ".join(f"{words} {bound}" for words, bound in bounds if bound is not None)
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


def _check_suffix(flag: str, path: Path, suffixes: Suffixes) -> None:
    if path.suffix.lower() in suffixes.allowed:
        return
    raise UserError(f"{flag} {path} must end in {' or '.join(suffixes.allowed)}")
