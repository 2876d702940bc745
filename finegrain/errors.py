"""The one exception meant for the person at the keyboard, and what never ends a command."""

import contextlib
import difflib
from collections.abc import Iterator, Mapping


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


def no_such(
    kind: str, name: str, wanted: str, known: Mapping[str, str], cutoff: float = 0.5
) -> UserError:
    """Says that a table, key -> name of its rows, has none of a name, and which names are near.

    `wanted` is the name as keys are spelled, `cutoff` how near the others must be, 0 to 1.
    """
    near = [known[key] for key in difflib.get_close_matches(wanted, known, n=3, cutoff=cutoff)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known.values())}"
    return UserError(f"there is no {kind} named {name!r}; {hint}")


def one_line(error: object) -> str:
    """The last line of a library's message that says something, cut short."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
