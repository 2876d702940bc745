"""Step 2: the baseline, a softmax on a pretrained backbone.

    python single_model.py --data data/dogs --run runs/dogs-single --backbone xception

Two stages. First the backbone is frozen and only the new softmax learns, by Adam: its first
steps are large and would wreck pretrained filters. Then the backbone's last blocks learn too, by
SGD with a small rate. The best epoch on the validation images is kept of each.

The recipe of FGVC flowers trains all layers by Adam, InceptionResNetV2 with a layer of 2048
between its embedding and the softmax: `--unfreeze-from 0 --unfrozen-optimizer adam --hidden 2048`.

What comes next: `single_model_test.py` writes a submission from this run, `froze_fine_tune.py`
trains the multi-loss model that should beat it, and `trick_tune.py --run` retrains either one
without augmentation.

On 100 dog breeds (18,300 images, top-1 error of the leaderboard) this recipe was reported with
0.2502 for InceptionV3 and 0.2235 for Xception. What we measured stands in the README.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from finegrain.command import load_keras, run_command
from finegrain.flags import (
    Degrees,
    LearningRate,
    Patience,
    Share,
    ShearDegrees,
    StageEpochs,
    WarmUpEpochs,
    Width,
)
from finegrain.images.augmentation import Augmentation
from finegrain.training.settings import TrainingSettings
from finegrain.training.stage import Stage


@dataclass
class Settings(TrainingSettings):
    """Train the softmax baseline: frozen stage, then unfrozen stage.

    The same command, started again, goes on after the last finished epoch.
    """

    # original: the numbers of 2017. modern: no frozen stage, 12 epochs by AdamW along a cosine, the
    # softmax from zero and ten times as fast; it sets the flags below that are not given
    recipe: Literal["original", "modern"] = "original"
    # at most so many epochs of stage 1, the backbone frozen, by Adam; 0 leaves it out
    frozen_epochs: StageEpochs = 30
    # learning rate of stage 1
    frozen_learning_rate: LearningRate = 1e-3
    # at most so many epochs of stage 2, the last blocks unfrozen, by SGD
    unfrozen_epochs: StageEpochs = 30
    # learning rate of stage 2
    unfrozen_learning_rate: LearningRate = 1e-4
    # momentum of SGD
    momentum: Share = 0.9
    # optimizer of stage 2
    unfrozen_optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    # weight decay of AdamW
    weight_decay: Share = 0.0
    # share of every label that is spread over all classes
    label_smoothing: Share = 0.0
    # the softmax learns at so many times the learning rate
    head_rate: LearningRate = 1.0
    # begin with a softmax of zeros instead of random numbers
    head_from_zero: bool = False
    # augmentation: largest rotation either way, degrees
    rotation: Degrees = 45.0
    # augmentation: largest shear either way, degrees
    shear: ShearDegrees = 0.2
    # augmentation: zoom between 1 - zoom and 1 + zoom
    zoom: Share = 0.2
    # augmentation: mirror every second image
    horizontal_flip: bool = True
    # augment in stage 2 too
    unfrozen_augmentation: bool = True
    # what becomes of the learning rate: plateau (see below), cosine or one-cycle
    schedule: str = "plateau"
    # epochs in which the rate of cosine rises
    warm_up_epochs: WarmUpEpochs = 1.0
    # on a plateau: lower the learning rate tenfold after so many epochs without a better
    # validation loss; 0 never does
    reduce_patience: Patience = 3
    # on a plateau: end a stage after so many epochs without a better validation loss; 0 never does
    stop_patience: Patience = 3
    # what is learnt: softmax, or arcface
    objective: str = "softmax"
    # width of a ReLU layer between embedding and softmax, with a dropout of its own; 0 for none
    hidden: Width = 0

    def stages(self, unfreeze_from: str) -> list[Stage]:
        """Stage 1 trains the softmax alone, stage 2 the last blocks too."""
        augmentation = Augmentation(self.rotation, self.shear, self.zoom, self.horizontal_flip)
        frozen = Stage(
            name="1-frozen",
            unfreeze_from=None,
            optimizer="adam",
            learning_rate=self.frozen_learning_rate,
            epochs=self.frozen_epochs,
            momentum=self.momentum,
            augmentation=augmentation,
            mixup=self.mixup,
            views=self.views,
            train_batch_norm=self.train_batch_norm,
            label_smoothing=self.label_smoothing,
            head_rate=self.head_rate,
            schedule=self.schedule,
            warm_up_epochs=self.warm_up_epochs,
            reduce_patience=self.reduce_patience,
            stop_patience=self.stop_patience,
        )
        unfrozen = replace(
            frozen,
            name="2-unfrozen",
            unfreeze_from=unfreeze_from,
            optimizer=self.unfrozen_optimizer,
            weight_decay=self.weight_decay,
            learning_rate=self.unfrozen_learning_rate,
            epochs=self.unfrozen_epochs,
            augmentation=augmentation if self.unfrozen_augmentation else None,
            views=self.unfrozen_views,
        )
        return [frozen, unfrozen] if self.frozen_epochs else [unfrozen]

    @classmethod
    def recipes(cls) -> dict[str, dict[str, Any]]:
        """What `--recipe` sets of the flags that are not given."""
        modern = {
            "frozen_epochs": 0,
            "unfrozen_epochs": 12,
            "unfrozen_optimizer": "adamw",
            "unfrozen_learning_rate": 3e-4,
            "weight_decay": 0.02,
            "label_smoothing": 0.1,
            "head_rate": 10.0,
            "head_from_zero": True,
            "dropout": 0.3,
            "schedule": "cosine",
            "unfrozen_views": 4,
        }
        return {"original": {}, "modern": modern}


def main(settings: Settings) -> None:
    # Keras takes seconds to load, which a mistake in the flags need not wait for.
    load_keras()
    from finegrain.evaluation.close_stage import close_stage
    from finegrain.training.budget import print_budget
    from finegrain.training.session import start_session

    session = start_session(settings, settings.objective)
    print_budget(session, session.stages)
    for stage in session.stages:
        session.train(stage)
        close_stage(session, stage, is_final=stage is session.stages[-1])


if __name__ == "__main__":
    run_command(main, Settings)
