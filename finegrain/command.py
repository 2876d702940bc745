"""How every command of the project starts and how it ends."""

import io
import os
import shlex
import sys
from collections.abc import Callable
from typing import TypeVar

import tyro

from finegrain.errors import UserError
from finegrain.flags import check_flags
from finegrain.quiet import stderr_aside

Settings = TypeVar("Settings")

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def run_command(main: Callable[[Settings], None], settings_type: type[Settings]) -> None:
    """Parse the command line into `settings_type` and call `main` with it.

    Flags are the dataclass's fields: a comment is the help text, a type says what the value may be
    (`finegrain.flags`). A `UserError` is printed as one sentence with exit status 2; Ctrl-C ends
    with status 130 and says how to go on.

    Args:
        main: the command; gets the parsed settings.
        settings_type: dataclass of the command's flags; its docstring opens `--help`.
    """
    settings = tyro.cli(settings_type)
    # A file name that the terminal cannot show must not end a run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Imports what --help need not wait for.
    from finegrain.outputs import outputs_ready

    try:
        check_flags(settings)
        with outputs_ready(settings):
            main(settings)
    except UserError as error:
        print(f"error: {_on_one_line(str(error))}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        again = shlex.join(["python", *sys.argv])
        print(f"\nstopped; what is finished is kept, go on with: {again}", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


def _on_one_line(sentence: str) -> str:
    """A name in it may hold a line break, or signs that steer a terminal."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in sentence
    )


def load_keras() -> None:
    """Import Keras and its backend without their start-up chatter.

    TensorFlow's first lines (oneDNN, no CUDA driver) come from C++ before any log level counts,
    so the process's standard error itself is turned aside while it loads. A failing import
    shows all of it; who sets TF_CPP_MIN_LOG_LEVEL to 0 sees it always.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        import keras

        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with stderr_aside():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow

            # That a function was traced for several shapes is no news to a user.
            tensorflow.get_logger().setLevel("ERROR")
            # The search for a GPU has its say now rather than in the middle of a table.
            tensorflow.config.list_physical_devices()
