"""Keep what libraries say besides off the screen."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def stderr_aside() -> Iterator[None]:
    """Turn the process's standard error aside, C++ included; shown after all if the body fails.

    TensorFlow's first lines (oneDNN, no CUDA driver) come before any log level counts.
    """
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(screen, aside.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen, 2)
            os.close(screen)


@contextlib.contextmanager
def damage_not_warned_of() -> Iterator[None]:
    """Around loading a model or a checkpoint, whose error is told in a sentence.

    Keras warns besides of each layer that a damaged file holds nothing for.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
