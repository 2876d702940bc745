"""The one exception meant for the person at the keyboard, and what never ends a command."""

import contextlib
from collections.abc import Iterator


class UserError(Exception):
    """A mistake the user can mend.

    The message is one sentence: what was wrong, which file or value, and what to do.
    Commands print it without a traceback and exit with status 2.
    """


@contextlib.contextmanager
def by_product(name: str) -> Iterator[None]:
    """Whatever goes wrong inside, say in one sentence that `name` is left out, and go on.

    For pictures, measures and tables for people, never for a model, a submission or what a run
    goes on from. Ctrl-C still ends the command.
    """
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines()
        if not isinstance(error, UserError):
            lines = [": ".join([type(error).__name__, *lines[:1]])]
        print(f"  notice    {name} is left out: {lines[0]}", flush=True)
