"""What a format to export to must know."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from finegrain.errors import UserError
from finegrain.exporting.served import ModelCard

REQUIREMENTS = "requirements-export.txt"


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: as a user calls it.
        suffix: of the file to write; empty where it is a folder.
        packages: modules it needs besides the project's own requirements.
        write: write a model of `served_model` with its card to a path; runs on TensorFlow.
        answer: what the written model makes of images (N, H, W, 3) uint8, computed by the
            format's own runtime: (N, C) float32.
        classes: the class names read back from the written model.
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    write: Callable[[keras.Model, ModelCard, Path], None]
    answer: Callable[[Path, np.ndarray], np.ndarray]
    classes: Callable[[Path], list[str]]

    def check_packages(self) -> None:
        """Refuse where a package is not installed.

        Raises:
            UserError: names it and the command that installs it.
        """
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise UserError(
                    f"--format {self.name} needs the package {package}, which is not installed: "
                    f"pip install -r {REQUIREMENTS}"
                )
