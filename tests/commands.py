"""How tests start the project's scripts, and where these stand."""

import signal
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
SHARED = REPOSITORY.parent / "shared"


def command(name: str, *arguments) -> list[str]:
    """The command line of a script, as a user would type it."""
    return [sys.executable, name, *map(str, arguments)]


def obey_ctrl_c() -> None:
    """Undo what a shell does to jobs in the background, where the tests may run."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
