"""Ctrl-C that ends a command, whatever libraries make of it."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# So often a command that was interrupted is looked at, whether it goes on all the same.
AGAIN_AFTER = 5.0
# Where Python itself says that an interruption was lost there is nothing to wait for.
LOST_AFTER = 0.1
# Windows has no such timer; there a command is interrupted once.
HAS_TIMER = hasattr(signal, "setitimer")


@contextmanager
def ctrl_c_ends() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt` until what runs inside has ended.

    TensorFlow may swallow that exception while it traces a function, or make another of it, and
    Python loses that of a weak reference's callback: a training would go on for hours, or end with
    a traceback. A process that ignores Ctrl-C, as what a shell starts in the background does, goes
    on ignoring it.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, and what ran inside has ended with some error.
    """
    usual, usual_hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    # Python lets no other thread have a say in it.
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or usual is not signal.default_int_handler:
        yield
        return
    was_pressed = False

    def interrupt(*_: object) -> None:
        # What tidies up after the interruption may take its time, as after no second Ctrl-C.
        if not _is_ending():
            raise KeyboardInterrupt

    def interrupt_in(seconds: float) -> None:
        if HAS_TIMER:
            signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_AFTER)

    def pressed(*_: object) -> None:
        nonlocal was_pressed
        was_pressed = True
        interrupt_in(AGAIN_AFTER)
        raise KeyboardInterrupt

    def unraisable(lost: Any) -> None:
        if lost.exc_type is KeyboardInterrupt:
            interrupt_in(LOST_AFTER)
        else:
            usual_hook(lost)

    signal.signal(signal.SIGINT, pressed)
    sys.unraisablehook = unraisable
    try:
        yield
    except Exception as error:
        if was_pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        if HAS_TIMER:
            signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = usual_hook
        signal.signal(signal.SIGINT, usual)


def _is_ending() -> bool:
    """Whether the main thread is in a clause that an interruption has led to."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None
