"""A run that has a finished model, opened to be used."""

import json
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from finegrain.errors import UserError
from finegrain.models import layers  # noqa: F401  registers what a saved model is made of
from finegrain.models.classifier import classifier
from finegrain.training.run_folder import CLASSES, MODEL, RunFolder


@dataclass(frozen=True)
class FinishedRun:
    """What answers questions after training.

    Attributes:
        folder: the run's folder.
        recipe: `softmax` or `multi-loss`.
        classes: class names in index order.
        class_counts: (C,) training images a class.
        image_size: (height, width) of the model's input in pixels.
        category_ids: what a submission calls the classes, in index order, where the data set
            came from a JSON; None where it calls them by name.
    """

    folder: Path
    recipe: str
    classes: list[str]
    class_counts: np.ndarray
    image_size: tuple[int, int]
    category_ids: list[str] | None = None

    def model(self) -> keras.Model:
        """The finished training model.

        Raises:
            UserError: the file is damaged.
        """
        file = self.folder / MODEL
        try:
            return keras.saving.load_model(file, compile=False, safe_mode=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{file} cannot be loaded ({str(error).splitlines()[0]}); start "
                "the training command again, which writes it anew"
            ) from error

    def classifier(self) -> keras.Model:
        """Model (B, H, W, 3), RGB 0 to 255 -> (B, C) probabilities."""
        return classifier(self.model())


def open_finished_run(folder: Path) -> FinishedRun:
    """Open a run for prediction.

    Raises:
        UserError: no such run, or its training has not finished.
    """
    run = RunFolder.open(folder)
    if not (folder / MODEL).is_file():
        raise UserError(
            f"{folder} has no finished model yet; start its training command again, it goes on "
            "where it stopped"
        )
    try:
        classes = json.loads((folder / CLASSES).read_text(encoding="utf-8"))
        return FinishedRun(
            folder=folder,
            recipe=run.config["recipe"],
            classes=classes,
            class_counts=np.asarray(run.config["data"]["class_counts"]),
            image_size=tuple(run.config["image_size"]),
            category_ids=run.config["data"].get("category_ids"),
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder} is damaged ({error}); restore it or train again") from error


def has_sound_model(folder: Path) -> bool:
    """Whether a run's finished model stands there and can be loaded."""
    try:
        open_finished_run(folder).model()
    except UserError:
        return False
    return True
