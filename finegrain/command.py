"""How every command of the project starts and how it ends."""

import os
import shlex
import sys
import warnings
from collections.abc import Callable
from typing import TypeVar

import tyro

from finegrain.errors import UserError

Settings = TypeVar("Settings")

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def run_command(main: Callable[[Settings], None], settings_type: type[Settings]) -> None:
    """Parse the command line into `settings_type` and call `main` with it.

    Flags are the dataclass's fields and their comments are the help text. A `UserError` is
    printed as one sentence with exit status 2; Ctrl-C ends with status 130 and says how to go on.

    Args:
        main: the command; gets the parsed settings.
        settings_type: dataclass of the command's flags; its docstring opens `--help`.
    """
    settings = tyro.cli(settings_type)
    quiet_frameworks()
    try:
        main(settings)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        again = shlex.join(["python", *sys.argv])
        print(f"\nstopped; the same command goes on from here: {again}", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


def quiet_frameworks() -> None:
    """Keep start-up chatter of TensorFlow and bomb warnings of Pillow off the user's screen.

    Must run before Keras is imported: TensorFlow reads its log level once. What the user has
    set in the environment stays.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
