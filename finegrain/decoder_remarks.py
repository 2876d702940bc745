"""Keep the remarks of Pillow and of the libraries below it off the screen.

What keeps an image from being read arrives as an exception in any case; the rest is of no use to
somebody with 20,000 photographs.
"""

import contextlib
import ctypes
import functools
import logging
import warnings

from PIL import _imaging


@functools.cache
def silence_remarks() -> None:
    """Silence them for this process, once and for all threads; other libraries are left alone."""
    # For good, since a filter that is taken back would be taken from other threads as well.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    _silence_libtiff()


def _silence_libtiff() -> None:
    # libtiff writes to standard error itself, and Pillow has no switch for that. A library that
    # is loaded is found through the one that needs it, wherever it lies; where it is built into
    # Pillow (on Windows) it cannot be found, and goes on talking.
    with contextlib.suppress(OSError):
        pillow = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            if (set_handler := getattr(pillow, name, None)) is not None:
                set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                set_handler(None)
