"""The flags that the stages of a training are made of, and what `--recipe` sets of them."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from finegrain.flags import (
    ClipNorm,
    Degrees,
    Epochs,
    ImageSize,
    LayerDecay,
    LearningRate,
    MixingAlpha,
    Patience,
    Probability,
    ProperShare,
    Share,
    ShearDegrees,
    StageEpochs,
    WarmUpEpochs,
)
from finegrain.images.augmentation import Augmentation
from finegrain.runs.run_config import CONFIG, HeadStart, by_todays_names, read_config
from finegrain.training.settings import TrainingSettings
from finegrain.training.stage import Monitor, Stage

# Between stage 2 and `3-retrained` by name, as `trick_tune.py` comes after it.
FINAL = "3-final"
# Sources: AdamW arXiv 1711.05101, cosine 1608.03983, warm-up 1706.02677, smoothing 1512.00567.
MODERN = {
    "frozen_epochs": 0,
    "unfrozen_epochs": 12,
    "unfrozen_optimizer": "adamw",
    "unfrozen_learning_rate": 3e-4,
    "weight_decay": 0.02,
    "label_smoothing": 0.1,
    "head_rate": 10.0,
    "head_start": "zero",
    "rotation": 15.0,
    "shear": 0.0,
    "dropout": 0.3,
    "schedule": "cosine",
    "monitor": "last",
    "unfrozen_views": 4,
    "plain_views": True,
}
# What it set before; a run that was begun so goes on so.
MODERN_BEFORE = {"rotation": 45.0, "shear": 0.2, "plain_views": False, "monitor": "loss"}
# What the recipe of the dogs was first coded with; its sources are in docs/originals.md.
FIRST_CODED = {
    "frozen_optimizer": "nadam",
    # Nadam's default in the Keras of 2017.
    "frozen_learning_rate": 2e-3,
    "unfrozen_augmentation": False,
    "batch_size": 64,
    "pixels": "unit",
    "views": 0,
}
StageOptimizer = Literal["sgd", "adam", "adamw", "nadam"]

# One partner for each image of a batch, or all pairs of it.
PairLossName = Literal["verification", "contrastive", "supervised-contrastive", "circle", "triplet"]


def objective_of(pair_loss: str) -> str:
    """Name of the objective that learns classes with a `--pair-loss`, or with `none`."""
    return {"none": "softmax", "verification": "multi-loss"}.get(pair_loss, pair_loss)


@dataclass
class StageSettings(TrainingSettings):
    """Two stages, of which each training script has its own numbers.

    Stage 1 freezes the backbone and trains the heads by Adam; stage 2 trains the last blocks too.
    A flag of the same name as a field of `Stage` holds for both.
    """

    # original: the numbers that the source describes. as-first-coded: those of its code. modern: no
    # frozen stage, 12 epochs by AdamW along a cosine, heads from zero and ten times as fast. It
    # sets the flags below that are not given
    recipe: Literal["original", "as-first-coded", "modern"] = "original"
    # at most so many epochs of stage 1, the backbone frozen, by Adam; 0 leaves it out
    frozen_epochs: StageEpochs = 30
    # optimizer of stage 1
    frozen_optimizer: StageOptimizer = "adam"
    # learning rate of stage 1
    frozen_learning_rate: LearningRate = 1e-3
    # at most so many epochs of stage 2, the last blocks unfrozen
    unfrozen_epochs: StageEpochs = 30
    # learning rate of stage 2
    unfrozen_learning_rate: LearningRate = 1e-4
    # optimizer of stage 2
    unfrozen_optimizer: StageOptimizer = "sgd"
    # momentum of SGD
    momentum: Share = 0.9
    # weight decay of AdamW, of kernels alone
    weight_decay: Share = 0.0
    # scale the gradients of a step down where their norm, all together, is above this; 0 never does
    clip_norm: ClipNorm = 0.0
    # the heads learn at so many times the learning rate
    head_rate: LearningRate = 1.0
    # the trained backbone layers in up to eight blocks, each at so many times the rate of the block
    # above it; 1 for one rate
    layer_decay: LayerDecay = 1.0
    # judge and keep a moving average of the weights, which at each step keeps such a share of
    # itself, as 0.99; 0 for the weights themselves
    ema: Share = 0.0
    # in the end take weights between the first and the best ones of stage 2, those that suit the
    # validation images best: keeps some of what pretraining knew and training forgets
    interpolate: bool = False
    # what the softmax begins with: random numbers, zeros, or logistic, the weights of the baseline
    head_start: HeadStart = "random"
    # of the feature map: its mean, or gem, a mean that learns how much large features count
    pooling: Literal["mean", "gem"] = "mean"
    # bn puts a BatchNormalization between embedding and softmax; pair losses stay before it
    neck: Literal["none", "bn"] = "none"
    # share of every label that is spread over all classes
    label_smoothing: Share = 0.0
    # classes of few images: weights lets all classes count alike, balanced-softmax spares the
    # logits from telling which classes have many images
    long_tail: Literal["none", "weights", "balanced-softmax"] = "none"
    # augmentation: largest rotation either way, degrees
    rotation: Degrees = 45.0
    # augmentation: largest shear either way, degrees
    shear: ShearDegrees = 0.2
    # augmentation: zoom between 1 - zoom and 1 + zoom
    zoom: Share = 0.2
    # augmentation: mirror every second image
    horizontal_flip: bool = True
    # augmentation: brightness between 1 - it and 1 + it
    brightness: Share = 0.0
    # augmentation: contrast between 1 - it and 1 + it
    contrast: Share = 0.0
    # augmentation: saturation of colours between 1 - it and 1 + it
    saturation: Share = 0.0
    # augmentation: random crops, which show at least this share of the image's area; 0 crops none
    crop_area: Share = 0.0
    # augmentation: share of the images of which a random rectangle is replaced by noise
    erasing: Probability = 0.0
    # of the stored views of an image the first is the image as it is, the second its mirror image
    plain_views: bool = False
    # augment in stage 1
    frozen_augmentation: bool = True
    # augment in stage 2 too
    unfrozen_augmentation: bool = True
    # mixup: lay each image over another of its batch, in shares from Beta(alpha, alpha); 0 does not
    mixup: MixingAlpha = 0.0
    # CutMix: cover a rectangle of each image by another image, so that Beta(alpha, alpha) of the
    # area stays; 0 does not. With --mixup, each batch goes through one of the two, drawn fairly
    cutmix: MixingAlpha = 0.0
    # a last stage on squares of so many pixels, which the finished model takes from then on: larger
    # ones than before suit it better; by default there is none
    final_size: ImageSize | None = None
    # its epochs, in which the heads alone learn, by Adam, from the images as they are
    final_epochs: Epochs = 2
    # its learning rate
    final_learning_rate: LearningRate = 1e-4
    # what becomes of the learning rate: plateau (see below), cosine or one-cycle
    schedule: str = "plateau"
    # epochs in which the rate of cosine rises
    warm_up_epochs: WarmUpEpochs = 1.0
    # what judges an epoch on the validation images: loss, of identification, or top-1 accuracy;
    # last keeps the last epoch, as suits a schedule that ends at a rate of zero
    monitor: Monitor = "loss"
    # on a plateau the learning rate falls to this share of itself
    reduce_factor: ProperShare = 0.1
    # after so many epochs without a better validation loss; 0 never does
    reduce_patience: Patience = 3
    # on a plateau: end a stage after so many epochs without a better validation loss; 0 never does
    stop_patience: Patience = 3

    def stages(self, unfreeze_from: str) -> list[Stage]:
        """Stage 1 trains the heads alone, stage 2 the backbone's last layers too; and the last."""
        ranges = {field.name: getattr(self, field.name) for field in fields(Augmentation)}
        here = {field.name for field in fields(self)}
        shared = {
            field.name: getattr(self, field.name) for field in fields(Stage) if field.name in here
        }
        augmentation = Augmentation(**ranges)
        frozen = Stage(
            **shared
            | {
                "name": "1-frozen",
                "unfreeze_from": None,
                "optimizer": self.frozen_optimizer,
                "learning_rate": self.frozen_learning_rate,
                "epochs": self.frozen_epochs,
                "augmentation": augmentation if self.frozen_augmentation else None,
                "interpolate": False,
            }
        )
        unfrozen = replace(
            frozen,
            name="2-unfrozen",
            unfreeze_from=unfreeze_from,
            optimizer=self.unfrozen_optimizer,
            learning_rate=self.unfrozen_learning_rate,
            epochs=self.unfrozen_epochs,
            augmentation=augmentation if self.unfrozen_augmentation else None,
            views=self.unfrozen_views,
            interpolate=self.interpolate,
        )
        # Touvron et al. 2019, arXiv 1906.06423, section 4: what stands on the feature map is tuned
        # to the statistics that it has at the larger size.
        final = replace(
            frozen,
            name=FINAL,
            side=self.final_size,
            optimizer="adam",
            learning_rate=self.final_learning_rate,
            epochs=self.final_epochs,
            augmentation=None,
            mixup=0.0,
            cutmix=0.0,
            schedule="plateau",
            head_rate=1.0,
        )
        stages = [frozen, unfrozen] if self.frozen_epochs else [unfrozen]
        return [*stages, final] if self.final_size else stages

    def begun_with(self) -> dict[str, Any]:
        """The numbers that the recipe had when the run was begun, where it has others now."""
        if self.recipe != "modern" or not (self.run / CONFIG).is_file():
            return {}
        config = read_config(self.run)
        if config.defaults != self.recipe:
            return {}
        recorded = self.held_before() | by_todays_names(config.content["settings"])
        return {name: old for name, old in MODERN_BEFORE.items() if recorded.get(name) == old}

    @classmethod
    def recipes(cls) -> dict[str, dict[str, Any]]:
        """What `--recipe` sets of the flags that are not given."""
        return {"original": {}, "as-first-coded": FIRST_CODED, "modern": MODERN}
