"""What a format to export to must know, and what an exported model says of itself."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from finegrain.errors import UserError
from finegrain.runs.finished_run import FinishedRun

IMAGE = "image"
PROBABILITIES = "probabilities"
REQUIREMENTS = "requirements-export.txt"


@dataclass(frozen=True)
class ModelCard:
    """What stands inside an exported model for those who use it.

    Attributes:
        classes: class names in the order of the probabilities.
        image_size: (height, width) in pixels.
        category_ids: what a leaderboard calls the classes, where the data set came from a JSON.
        input: how photographs become the input.
        output: what comes out.
    """

    classes: list[str]
    image_size: tuple[int, int]
    category_ids: list[str] | None
    input: str
    output: str

    def texts(self) -> dict[str, str]:
        """Each entry as text; lists as JSON."""
        entries = {name: value for name, value in asdict(self).items() if value is not None}
        return {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in entries.items()
        }


def model_card(run: FinishedRun) -> ModelCard:
    """The card of a run's classifier."""
    height, width = run.image_size
    return ModelCard(
        classes=run.classes,
        image_size=run.image_size,
        category_ids=run.category_ids,
        input=f"{IMAGE}: uint8 (batch, {height}, {width}, 3), RGB, 0 to 255. Turn a photograph "
        "upright (EXIF) and squeeze it to this size, not keeping its aspect ratio, with a bilinear "
        "filter that averages when it shrinks (Pillow's). Scaling of pixels is inside the model.",
        output=f"{PROBABILITIES}: float32 (batch, {len(run.classes)}), in the order of classes",
    )


def served_model(classifier: keras.Model) -> keras.Model:
    """The classifier on bytes: nobody can feed it pixels of 0 to 1 by mistake.

    Args:
        classifier: (B, H, W, 3) float32, RGB 0 to 255 -> (B, C) probabilities.

    Returns:
        Model: `image` (B, H, W, 3) uint8 -> dict of `probabilities` (B, C) float32.
    """
    image = keras.Input(classifier.input_shape[1:], dtype="uint8", name=IMAGE)
    return keras.Model(image, {PROBABILITIES: classifier(image)}, name="served")


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
