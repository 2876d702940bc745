"""A run that has a finished model, opened to be used."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from finegrain.datasets.manifest import read_class_names
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.models import layers  # noqa: F401  registers what a saved model is made of
from finegrain.models.classifier import classifier
from finegrain.models.heads import SAME_CLASS
from finegrain.models.heads.category import CATEGORY
from finegrain.quiet import damage_not_warned_of
from finegrain.runs.run_config import CONFIG
from finegrain.runs.run_folder import CLASSES, MODEL, RunFolder


@dataclass(frozen=True)
class FinishedRun:
    """What answers questions after training."""

    folder: Path
    recipe: str
    classes: list[str]  # names in index order
    class_counts: np.ndarray  # (C,) training images a class
    frame: Frame  # how a photograph becomes the model's input
    compares_pairs: bool = False  # whether its model has a head for pairs
    # What a submission calls the classes, in index order; None where it calls them by name.
    category_ids: list[str] | None = None

    def model(self) -> keras.Model:
        """The finished training model; a `UserError` where the file is damaged."""
        return load_model(
            self.folder / MODEL, self.frame.size, len(self.classes), self.compares_pairs
        )

    def classifier(self) -> keras.Model:
        """Model (B, H, W, 3), RGB 0 to 255 -> (B, C) probabilities."""
        return classifier(self.model())


def open_finished_run(folder: Path) -> FinishedRun:
    """Open a run for prediction; a `UserError` where its training has not finished."""
    run = RunFolder.open(folder)
    if not (folder / MODEL).is_file():
        raise UserError(
            f"{folder} has no finished model yet; start its training command again, it goes on "
            "where it stopped"
        )
    mend = "restore it or train again"
    classes, config = read_class_names(folder / CLASSES, mend), run.config
    for name in ("class_counts", "category_ids"):
        entries = getattr(config.data, name)
        if entries is not None and len(entries) != len(classes):
            raise UserError(
                f"{folder / CLASSES} has {len(classes)} classes, and data.{name} in "
                f"{folder / CONFIG} has {len(entries)}; {mend}"
            )
    return FinishedRun(
        folder=folder,
        recipe=config.recipe,
        classes=classes,
        class_counts=np.asarray(config.data.class_counts, np.int64),
        frame=config.frame,
        compares_pairs=config.compares_pairs,
        category_ids=config.data.category_ids,
    )


def load_model(
    file: Path, image_size: tuple[int, int], classes: int, compares_pairs: bool
) -> keras.Model:
    """The training model in a model.keras; a `UserError` if damaged, absent or another run's."""
    try:
        with damage_not_warned_of():
            model = keras.saving.load_model(file, compile=False, safe_mode=True)
    # Whatever is wrong in a file of weights and layers, Keras meets it somewhere.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{file} cannot be loaded ({reason}); start the training command again, which "
            "writes it anew"
        ) from error
    there = {layer.name: layer for layer in getattr(model, "layers", ())}
    wanted = {"image": (None, *image_size, 3), CATEGORY: (None, classes)}
    if compares_pairs:
        wanted[SAME_CLASS] = (None, 2)
    for name, shape in wanted.items():
        found = tuple(there[name].output.shape) if name in there else None
        if found != shape:
            told = "no such layer" if found is None else f"{name} {found}"
            raise UserError(
                f"{file} is not the model of this run: {name} {shape} is wanted, and there is "
                f"{told}; start the training command again, which writes it anew"
            )
    return model
