"""Run the project's scripts as a user does."""

import shlex
import subprocess
import sys

from finegrain.errors import UserError


def call(script: str, *arguments) -> None:
    """Run a script, showing the command.

    Raises:
        UserError: it failed.
    """
    words = [script, *map(str, arguments)]
    print(f"$ python {shlex.join(words)}", flush=True)
    done = subprocess.run([sys.executable, *words], check=False)
    if done.returncode:
        raise UserError(f"{script} ended with status {done.returncode}; see its message above")
