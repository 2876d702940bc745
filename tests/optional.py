"""The optional programs and packages that some tests need, named by `pytest.mark.optional`."""

import importlib.util
import shutil


def find_chromium() -> str | None:
    """The path of Chromium, which goes by two names; None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def is_installed(name: str) -> bool:
    """Whether a program (`chromium`, `dot`) or a package (`gradio`) is there."""
    if name == "chromium":
        return find_chromium() is not None
    return shutil.which(name) is not None or importlib.util.find_spec(name) is not None
