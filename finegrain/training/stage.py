"""One stretch of training with one setting."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from finegrain.errors import UserError
from finegrain.flags import (
    ClipNorm,
    ImageSize,
    LayerDecay,
    LearningRate,
    LossWeight,
    MixingAlpha,
    Patience,
    Probability,
    ProperShare,
    Share,
    StageEpochs,
    Views,
    WarmUpEpochs,
)
from finegrain.images.augmentation import Augmentation
from finegrain.images.batch_changes import BatchChange, CutMix, Mixup, OneOf
from finegrain.records import first_problem
from finegrain.runs.run_config import defaults_of

# Partners in batches that are not made of positive pairs.
Negatives = Literal["other-class", "drawn"]
Monitor = Literal["loss", "accuracy", "last"]
# Fields that are no more, with the one value they ever had in a run.
GONE = {"lower_rate": 1.0}


@dataclass(frozen=True)
class Stage:
    """What one stage trains, how, and for how long.

    Attributes:
        name: also the name of its folder in the run.
        unfreeze_from: first backbone layer to train, a name or an index; None trains the heads
            alone.
        optimizer: `adam`, `adamw`, `nadam` or `sgd`.
        learning_rate: the largest that the schedule takes.
        epochs: at most so many.
        momentum: of SGD.
        weight_decay: of AdamW, for kernels and not for biases and norms.
        clip_norm: largest norm of the gradients of a step, all together; 0 for any.
        label_smoothing: share of every label that is spread over all classes.
        augmentation: of the training images, or None.
        mixup, cutmix: alphas of `Mixup` and `CutMix`, which change whole batches; 0 leaves them as
            they are, and with both each batch goes through one of them.
        views: so many augmented views of each image, drawn once; 0 draws new ones every epoch.
        plain_views: the first of those is the image as it is, the second its mirror image.
        category_weight, same_class_weight: of identification and verification loss.
        long_tail: `none`; `weights`, by which classes of few images count as much as others; or
            `balanced-softmax`, whose logits need not tell which classes have many.
        positive_rate: share of batches made of positive pairs.
        negatives: how the other batches are paired, see `finegrain.training.partners`.
        side: of the square pictures, in pixels, where not that of the stages before.
        train_batch_norm: let unfrozen BatchNormalization learn.
        schedule: what becomes of the learning rate: a row of `finegrain.training.schedule`.
        warm_up_epochs: of `cosine`, in which the rate rises.
        head_rate: the heads learn at so many times the learning rate.
        layer_decay: the trained backbone layers in up to eight blocks, the lower ones at so many
            times the rate of the block above; the top block learns at the learning rate. Howard &
            Ruder 2018, arXiv 1801.06146, section 3.2; by one factor as Clark et al. 2020, arXiv
            2003.10555.
        ema: share of itself that an average of the weights keeps at each step; epochs are judged
            and kept by the average. 0 for no average.
        interpolate: in the end take weights between the first and the best ones, those that suit
            the validation images, see `finegrain.training.interpolation`.
        monitor: what judges an epoch on the validation images, the identification `loss` or the
            top-1 `accuracy`; `last` judges none and keeps the last one.
        reduce_factor, reduce_patience: of the schedule `plateau`, where the learning rate is
            multiplied by the factor after so many epochs without a better validation loss.
        stop_patience: on a `plateau` training stops after so many epochs without a better
            validation loss; 0 never stops. Other schedules run to their end.
    """

    name: str
    unfreeze_from: str | int | None
    optimizer: str
    learning_rate: LearningRate
    epochs: StageEpochs
    momentum: Share = 0.9
    weight_decay: Share = 0.0
    clip_norm: ClipNorm = 0.0
    label_smoothing: Share = 0.0
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    mixup: MixingAlpha = 0.0
    cutmix: MixingAlpha = 0.0
    views: Views = 0
    plain_views: bool = False
    category_weight: LossWeight = 1.0
    same_class_weight: LossWeight = 0.5
    long_tail: Literal["none", "weights", "balanced-softmax"] = "none"
    positive_rate: Probability = 0.25
    negatives: Negatives = "other-class"
    side: ImageSize | None = None
    train_batch_norm: bool = False
    schedule: str = "plateau"
    warm_up_epochs: WarmUpEpochs = 1.0
    head_rate: LearningRate = 1.0
    layer_decay: LayerDecay = 1.0
    ema: Share = 0.0
    interpolate: bool = False
    monitor: Monitor = "loss"
    reduce_factor: ProperShare = 0.1
    reduce_patience: Patience = 3
    stop_patience: Patience = 3

    def __post_init__(self) -> None:
        if self.augmentation is not None and not self.augmentation.changes_anything:
            object.__setattr__(self, "augmentation", None)

    @property
    def changes(self) -> tuple[BatchChange, ...]:
        """What changes whole batches of images, one after the other."""
        mixup = (Mixup(self.mixup),) if self.mixup else ()
        cutmix = (CutMix(self.cutmix),) if self.cutmix else ()
        return (OneOf(mixup + cutmix),) if mixup and cutmix else mixup + cutmix

    @property
    def fixed_views(self) -> int:
        """How many views of each image the stage sees; 0 if every epoch has views of its own."""
        if self.augmentation is None:
            return 1
        # More views than epochs would never be looked at.
        return min(self.views, self.epochs)

    @classmethod
    def held_before(cls) -> dict[str, Any]:
        """What held before a field was there, and fields that are no more: for older stages."""
        return defaults_of(cls) | GONE

    @classmethod
    def from_record(cls, record: dict[str, Any], folder: Path) -> "Stage":
        """The stage whose `dataclasses.asdict` was written to a run folder.

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
