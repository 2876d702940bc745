"""What an objective is: all that a training must know of what is learnt."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from finegrain.errors import UserError
from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.heads import CATEGORY
from finegrain.models.model_precision import in_full_precision
from finegrain.training.stage import Stage


class Objective(ABC):
    """Which heads stand on an embedding, what they learn from, and what is kept of them.

    In training every head gives logits; `finished` makes probabilities of them.

    Attributes:
        name: also the recipe that a run records.
        heads: names of the outputs that the finished model keeps.
        loss, accuracy: columns of the history of which one judges an epoch; of identification in
            every objective, so that runs can be compared.
        smallest_part: images that a batch can be cut down to.
        learns_pairs: whether images are compared with others of their batch.
    """

    name: str
    heads: ClassVar[tuple[str, ...]] = (CATEGORY,)
    loss: ClassVar[str] = "val_loss"
    accuracy: ClassVar[str] = "val_accuracy"
    smallest_part: ClassVar[int] = 1
    learns_pairs: ClassVar[bool] = False

    @abstractmethod
    def model(
        self, backbone: keras.Model, spec: BackboneSpec, classes: int, **heads: Any
    ) -> keras.Model:
        """The training model; `heads` as `finegrain.models.classifier.softmax_model` takes them.

        Raises:
            UserError: the heads' weights do not fit the memory.
        """

    @abstractmethod
    def compile_arguments(self, stage: Stage) -> dict[str, Any]:
        """`loss`, `loss_weights` and `metrics` of `Model.compile`."""

    def check_stage(self, stage: Stage) -> None:
        """Refuse a stage that cannot teach this.

        Raises:
            UserError: it mixes labels, and pairs are of one class or are not.
        """
        mixing = [f"--{name}" for name in ("mixup", "cutmix") if getattr(stage, name)]
        if self.learns_pairs and mixing:
            raise UserError(
                f"{' and '.join(mixing)} would give an image two labels, and pairs need hard "
                "labels, the same class or not; leave it out, or train without a pair loss, as "
                "single_model.py does"
            )

    def batch(
        self, images: Any, targets: np.ndarray, stage: Stage, seed: int, number: int
    ) -> tuple[Any, Any]:
        """Inputs and targets of the training model.

        Args:
            images: (B, H, W, 3), or a dict of features (B, ...).
            targets: (B, C) one-hot or soft.
            stage: in training.
            seed: of whatever is drawn.
            number: of the batch. It draws the same whatever was drawn before it.
        """
        return images, targets

    def split(
        self, inputs: Any, targets: Any, parts: int, rng: np.random.Generator
    ) -> list[tuple[Any, Any]]:
        """Cut a batch into parts of nearly the same size, which together teach what it teaches.

        Args:
            inputs, targets: from `batch`.
            parts: at most so many; fewer where there are fewer images.
            rng: of what is drawn anew.
        """
        count = len(keras.tree.flatten(inputs)[0])
        return [take(inputs, targets, rows) for rows in dealt([[i] for i in range(count)], parts)]

    def check_history(self, history: Sequence[Mapping[str, float]], folder: Path) -> None:
        """Refuse epochs that this objective cannot judge.

        Raises:
            UserError: they lack one of its columns, as a damaged file may.
        """
        for column in (self.loss, self.accuracy):
            if any(column not in row for row in history):
                raise UserError(
                    f"the history in {folder} lacks the column {column}; delete the folder to "
                    "train this stage again"
                )

    def watched(self, history: Sequence[Mapping[str, float]], stage: Stage) -> list[float]:
        """What judges each epoch of a stage, the smaller the better: a loss, or a top-1 error.

        Where the last is to be kept, each is better than the one before, unless it diverged.
        """
        if stage.monitor == "last":
            losses = [row[self.loss] for row in history]
            return [-epoch if math.isfinite(loss) else loss for epoch, loss in enumerate(losses)]
        if stage.monitor == "accuracy":
            return [1 - row[self.accuracy] for row in history]
        return [row[self.loss] for row in history]

    def finished(self, model: keras.Model) -> keras.Model:
        """The model as it is used after training: a copy in full precision, giving probabilities.

        Args:
            model: from `model`, trained.
        """
        whole = in_full_precision(model)
        for name in whole.output_names:
            whole.get_layer(name).activation = keras.activations.softmax
        return whole


def dealt(units: Sequence[Sequence[int]], parts: int) -> list[np.ndarray]:
    """Rows that stay together, dealt like cards, which spreads classes that stand together."""
    hands = [[row for unit in units[part::parts] for row in unit] for part in range(parts)]
    return [np.array(hand) for hand in hands if hand]


def take(inputs: Any, targets: Any, rows: np.ndarray) -> tuple[Any, Any]:
    """Some rows of every array."""
    return keras.tree.map_structure(lambda array: array[rows], (inputs, targets))
