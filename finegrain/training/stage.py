"""One stretch of training with one setting."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
from pydantic import TypeAdapter, ValidationError

from finegrain.errors import UserError
from finegrain.flags import (
    LearningRate,
    LossWeight,
    Patience,
    Probability,
    ProperShare,
    Share,
    StageEpochs,
    Views,
)
from finegrain.images.augmentation import Augmentation
from finegrain.models.heads.category import CATEGORY
from finegrain.models.heads.same_class import SAME_CLASS
from finegrain.records import first_problem


@dataclass(frozen=True)
class Stage:
    """What one stage trains, how, and for how long.

    Attributes:
        name: also the name of its folder in the run.
        unfreeze_from: first backbone layer to train, a name or an index; None trains the heads
            alone.
        optimizer: `adam` or `sgd`.
        learning_rate: of the first epoch.
        epochs: at most so many.
        momentum: of SGD.
        augmentation: random changes of the training images, or None.
        views: so many augmented views of each image, drawn once; 0 draws new ones every epoch.
        category_weight: weight of the identification loss.
        same_class_weight: weight of the verification loss.
        positive_rate: share of batches made of positive pairs.
        train_batch_norm: let unfrozen BatchNormalization learn.
        reduce_factor, reduce_patience: the learning rate is multiplied by the factor after so
            many epochs without a better validation loss.
        stop_patience: training stops after so many epochs without a better validation loss;
            0 never stops.
    """

    name: str
    unfreeze_from: str | int | None
    optimizer: str
    learning_rate: LearningRate
    epochs: StageEpochs
    momentum: Share = 0.9
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    views: Views = 0
    category_weight: LossWeight = 1.0
    same_class_weight: LossWeight = 0.5
    positive_rate: Probability = 0.25
    train_batch_norm: bool = False
    reduce_factor: ProperShare = 0.1
    reduce_patience: Patience = 3
    stop_patience: Patience = 3

    @property
    def fixed_views(self) -> int:
        """How many views of each image the stage sees; 0 if every epoch has views of its own."""
        if self.augmentation is None:
            return 1
        # More views than epochs would never be looked at.
        return min(self.views, self.epochs)

    @classmethod
    def from_record(cls, record: dict[str, Any], folder: Path) -> "Stage":
        """The stage whose `dataclasses.asdict` was written to a run folder.

        Args:
            record: what was written.
            folder: of the stage, for the error.

        Raises:
            UserError: no such stage can have been trained.
        """
        try:
            # As JSON, in which a nested table may stand for a dataclass.
            return TypeAdapter(cls).validate_json(json.dumps(record), strict=True)
        except ValidationError as error:
            raise UserError(
                f"the settings in {folder} are damaged ({first_problem(error)}); delete the "
                "folder to train this stage again"
            ) from error


def is_multi_loss(model: keras.Model) -> bool:
    """Whether the model has a pairwise head beside the softmax."""
    return SAME_CLASS in model.output_names


def compile_for_stage(model: keras.Model, stage: Stage, jit_compile: bool | str = False) -> None:
    """Give the model the optimizer and the losses of a stage.

    Raises:
        UserError: an optimizer or a learning rate that cannot be.
    """
    if not 0 < stage.learning_rate < float("inf"):
        raise UserError(f"the learning rate must be above 0, but is {stage.learning_rate}")
    if stage.optimizer == "adam":
        optimizer = keras.optimizers.Adam(stage.learning_rate)
    elif stage.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(stage.learning_rate, momentum=stage.momentum)
    else:
        raise UserError(f"the optimizer must be adam or sgd, but is {stage.optimizer!r}")
    model.compile(optimizer=optimizer, **compile_arguments(model, stage, jit_compile))
    # Not `optimizer`: under float16 the model wraps it into one that scales the loss.
    model.optimizer.build(model.trainable_variables)


def compile_arguments(
    model: keras.Model, stage: Stage, jit_compile: bool | str = False
) -> dict[str, Any]:
    """What `compile` takes beside the optimizer, for the training model or one cut from it."""
    outputs = {CATEGORY: stage.category_weight}
    if is_multi_loss(model):
        outputs[SAME_CLASS] = stage.same_class_weight
    single = len(outputs) == 1
    loss, accuracy = "categorical_crossentropy", "accuracy"
    return {
        "loss": loss if single else dict.fromkeys(outputs, loss),
        "loss_weights": None if single else outputs,
        "metrics": [accuracy] if single else {name: [accuracy] for name in outputs},
        "jit_compile": jit_compile,
    }
