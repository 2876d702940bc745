"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """A mistake the user can mend.

    The message is one sentence: what was wrong, which file or value, and what to do.
    Commands print it without a traceback and exit with status 2.
    """
