"""Run the project's scripts as a user does."""

import shlex
import subprocess
import sys
from typing import Any

from finegrain.errors import UserError
from finegrain.flags import flag_name


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


def call(script: str, **flags: Any) -> None:
    """Run a script, showing the command; for the arguments see `command`.

    Raises:
        UserError: it failed.
    """
    words = command(script, **flags)
    print(f"$ python {shlex.join(words)}", flush=True)
    done = subprocess.run([sys.executable, *words], check=False)
    if done.returncode:
        raise UserError(f"{script} ended with status {done.returncode}; see its message above")
