"""Keep what libraries say besides off the screen."""

import contextlib
import ctypes
import functools
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def stderr_aside() -> Iterator[None]:
    """Turn the process's standard error aside, C++ included; shown after all if the body fails."""
    # TensorFlow's first lines (oneDNN, no CUDA driver) come before any log level counts.
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
    """Silence Keras's warnings of each layer of a damaged file, whose error is told anyway."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@functools.cache
def silence_decoders() -> None:
    """Silence Pillow and the libraries below it, which raise what matters, for this process."""
    # For good, since a filter that is taken back would be taken from other threads as well.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    from PIL import _imaging

    # libtiff writes to standard error itself, and Pillow has no switch for that. A library that
    # is loaded is found through the one that needs it, wherever it lies; where it is built into
    # Pillow (on Windows) it cannot be found, and goes on talking.
    with contextlib.suppress(OSError):
        pillow = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            if (set_handler := getattr(pillow, name, None)) is not None:
                set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                set_handler(None)


def load_keras() -> None:
    """Import Keras and its backend without their chatter, unless TF_CPP_MIN_LOG_LEVEL is 0."""
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
