"""Import OpenVINO without what it does on the side."""

import sys
from types import ModuleType
from typing import Any

REPORTER = "openvino_telemetry"


def load_openvino() -> ModuleType:
    """The module `openvino`, which does not report its use.

    Its import sends a message to its makers, asking nobody, from a process forked off this one,
    although a fork of a process with threads may hang. OpenVINO goes without when the package
    that reports is absent, so it is made to look absent during the import.

    Raises:
        ImportError: OpenVINO is not installed, or its installation is broken.
    """
    if "openvino" not in sys.modules:
        present = sys.modules.get(REPORTER)
        # Python's own way to say that an import shall fail.
        modules: dict[str, Any] = sys.modules
        modules[REPORTER] = None
        try:
            import openvino
        finally:
            del sys.modules[REPORTER]
            if present is not None:
                sys.modules[REPORTER] = present
    import openvino

    return openvino
