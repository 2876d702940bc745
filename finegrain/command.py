"""How every command of the project starts and how it ends."""

import atexit
import dataclasses
import errno
import io
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, NoReturn, TypeVar

import tyro

from finegrain.ctrl_c import ctrl_c_ends
from finegrain.errors import UserError
from finegrain.flags import check_flags, flag_name

Settings = TypeVar("Settings")

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
# A missing file is not among them: the project may have looked in the wrong place.
OF_THE_SYSTEM = {
    getattr(errno, name)
    for name in "EACCES EEXIST EIO EISDIR ELOOP ENAMETOOLONG ENOSPC ENOTDIR EPERM EROFS".split()
}


def run_command(main: Callable[[Settings], None], settings_type: type[Settings]) -> None:
    """Parse the command line into `settings_type` and call `main` with it.

    Flags are the dataclass's fields: a comment is the help text, a type says what the value may be
    (`finegrain.flags`). A `UserError` is printed as one sentence with exit status 2; Ctrl-C ends
    with status 130 and says how to go on. The dataclass's docstring opens `--help`.
    """
    # A file name that the terminal cannot show must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with ctrl_c_ends():
            settings = _parsed(settings_type)
            # Imports what --help need not wait for.
            from finegrain.outputs import outputs_ready

            check_flags(settings)
            with outputs_ready(settings):
                main(settings)
    except UserError as error:
        _end_with(str(error))
    except OSError as error:
        # What the system will not do with a path is for the user to mend, wherever it is met.
        if error.errno not in OF_THE_SYSTEM or error.filename is None:
            raise
        _end_with(
            f"{error.filename} cannot be used ({error.strerror}); mend that or name another path, "
            "and start the same command again"
        )
    except KeyboardInterrupt:
        again = shlex.join(["python", *sys.argv])
        print(f"\nstopped; what is finished is kept, go on with: {again}", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    finally:
        # Called first at the end; then libraries clear away, and Ctrl-C has nothing to stop.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def command_with(flags: Mapping[str, str], without: Iterable[str] = ()) -> str:
    """The command that runs, as one would type it, with some settings changed and some left out.

    `flags` and `without` are named as fields are: `batch_size`.
    """
    dropped = {flag_name(name) for name in [*flags, *without]}
    words, kept = ["python", sys.argv[0]], True
    for word in sys.argv[1:]:
        if word.startswith("--"):
            name = word[2:].partition("=")[0].replace("_", "-")
            kept = not dropped & {f"--{name}", f"--{name.removeprefix('no-')}"}
        if kept:
            words.append(word)
    for name, value in flags.items():
        words += [flag_name(name), value]
    return shlex.join(words)


def _parsed(settings_type: type[Settings]) -> Settings:
    """The settings of the command line; where these name a recipe, its defaults are the recipe's.

    A type with recipes has a class method `recipes`: name -> the defaults that it sets, by field.
    """
    recipes: dict[str, dict[str, Any]] = getattr(settings_type, "recipes", dict)()
    words = [part for word in sys.argv[1:] for part in word.split("=", 1)]
    named = [after for word, after in pairwise(words) if word == "--recipe"]
    defaults = recipes.get(named[-1]) if named else None
    if not defaults:
        return tyro.cli(settings_type)
    required = [
        field.name
        for field in dataclasses.fields(settings_type)  # type: ignore[arg-type]
        if field.default is field.default_factory is dataclasses.MISSING
    ]
    missing = dict.fromkeys(required, tyro.MISSING)
    settings = tyro.cli(settings_type, default=settings_type(**missing, **defaults))
    # A recipe may have had other numbers when a run was begun, which goes on with those.
    begun: dict[str, Any] = getattr(settings, "begun_with", dict)()
    if begun.items() <= defaults.items():
        return settings
    return tyro.cli(settings_type, default=settings_type(**missing, **defaults | begun))


def _end_with(sentence: str) -> NoReturn:
    # A name in it may hold a line break, or signs that steer a terminal.
    shown = "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in sentence
    )
    print(f"error: {shown}", file=sys.stderr)
    sys.exit(EXIT_USER_ERROR)
