"""What a command can do without never ends it."""

import contextlib
from collections.abc import Iterator

from finegrain.errors import UserError


@contextlib.contextmanager
def by_product(what: str) -> Iterator[None]:
    """Whatever goes wrong inside, say so in one sentence and go on.

    For pictures, measures and tables for people, never for a model, a submission or what a run
    goes on from. Ctrl-C still ends the command.

    Args:
        what: shall be made inside; begins the sentence.
    """
    try:
        yield
    except Exception as error:
        print(f"  notice    {what} is left out: {_one_line(error)}", flush=True)


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    if isinstance(error, UserError):
        return lines[0]
    return ": ".join([type(error).__name__, *lines[:1]])
