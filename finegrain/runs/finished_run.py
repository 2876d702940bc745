"""A run that has a finished model, opened to be used."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finegrain.datasets.manifest import read_class_names
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.quiet import load_keras
from finegrain.runs.run_config import CONFIG
from finegrain.runs.run_folder import CLASSES, MODEL, RunFolder

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class FinishedRun:
    """What answers questions after training."""

    folder: Path
    recipe: str
    classes: list[str]  # names in index order
    class_counts: np.ndarray  # (C,) training images a class
    frame: Frame  # how a photograph becomes the model's input
    compares_pairs: bool = False  # whether its model has a head for pairs
    learns_pairs: bool = False  # whether images were compared with others in training
    # What a submission calls the classes, in index order; None where it calls them by name.
    category_ids: list[str] | None = None

    @property
    def keeps_graph(self) -> bool:
        """Whether `model` is the very one of the run folder."""
        return True

    def model(self) -> "keras.Model":
        """The finished training model; a `UserError` where the file is damaged."""
        load_keras()
        from finegrain.runs.trained_model import load_model

        return load_model(
            self.folder / MODEL, self.frame.size, len(self.classes), self.compares_pairs
        )

    def classifier(self) -> "keras.Model":
        """Model (B, H, W, 3), RGB 0 to 255 -> (B, C) probabilities."""
        load_keras()
        from finegrain.models.classifier import classifier

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
        learns_pairs=config.learns_pairs,
        category_ids=config.data.category_ids,
    )
