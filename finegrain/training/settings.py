"""The flags that every training script shares; a script adds its stages to them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Interval

from finegrain.flags import (
    BatchSize,
    CountOrZero,
    Gigabytes,
    ImageSize,
    LearningRate,
    Patience,
    Seed,
    Share,
    StageEpochs,
    Threads,
    Views,
)
from finegrain.outputs import RUN, Output, OutputFolder
from finegrain.runs.run_config import defaults_of

if TYPE_CHECKING:
    from finegrain.images.augmentation import Augmentation

# Flags that came later with a default other than what was done before: what was done before.
HELD_BEFORE = {"views": 0}
# Flags that change nothing in the result, so a run may go on with other values.
FREE_FLAGS = ("data", "run", "workers", "cache", "cache_gb", "memory_gb")


@dataclass
class TrainingSettings:
    # data set folder, made by img2keras.py
    data: Path
    # folder that shall hold everything this training makes; an unfinished run there goes on
    run: Path
    # pretrained network: xception, inception_v3, inception_resnet_v2, resnet50, vgg16,
    # efficientnet_b0 to b4, mobilenet_v2, densenet121, or any other of keras.applications
    backbone: str = "xception"
    # imagenet (Keras downloads them), none, or a .weights.h5 file
    weights: str = "imagenet"
    # side of the square the images are resized to, in pixels; by default the backbone's own
    image_size: ImageSize | None = None
    # images a batch; 32 is sized for 6 GB of GPU memory with Xception at 299
    batch_size: BatchSize = 32
    # of the order of images, augmentation, pairs, dropout and fresh weights
    seed: Seed = 0
    # at most so many epochs with the backbone frozen, by Adam
    frozen_epochs: StageEpochs = 30
    # learning rate of the frozen stage
    frozen_learning_rate: LearningRate = 1e-3
    # at most so many epochs with the last blocks unfrozen, by SGD
    unfrozen_epochs: StageEpochs = 30
    # learning rate of the unfrozen stage
    unfrozen_learning_rate: LearningRate = 1e-4
    # momentum of SGD
    momentum: Share = 0.9
    # first backbone layer the unfrozen stage trains, a name or an index (Xception: 105);
    # by default the backbone's last blocks
    unfreeze_from: str | None = None
    # let BatchNormalization of unfrozen layers learn; frozen is safer on small data
    train_batch_norm: bool = False
    # share of the embedding dropped before the softmax
    dropout: Share = 0.5
    # augmentation: largest rotation either way, degrees
    rotation: Annotated[float, Interval(ge=0, le=180)] = 45.0
    # augmentation: largest shear either way, degrees
    shear: Annotated[float, Interval(ge=0, lt=90)] = 0.2
    # augmentation: zoom between 1 - zoom and 1 + zoom
    zoom: Share = 0.2
    # augmentation: mirror every second image
    horizontal_flip: bool = True
    # augment in the unfrozen stage too
    unfrozen_augmentation: bool = True
    # frozen stage: so many augmented views of each image, whose embeddings are computed once and
    # stored; 0 draws new ones every epoch and computes them every time
    views: Views = 4
    # the same for the unfrozen stage, where a stored view takes more disk (Xception: 0.5 MB)
    unfrozen_views: Views = 0
    # lower the learning rate tenfold after so many epochs without a better validation loss;
    # 0 never does
    reduce_patience: Patience = 3
    # end a stage after so many epochs without a better validation loss; 0 never does
    stop_patience: Patience = 3
    # class-balanced batches: so many images of each class in a batch; 0 draws plain batches
    images_per_class: CountOrZero = 0
    # folder of what is computed once and stored; by default `cache` beside the run folder, for
    # all runs there. tools/clear_cache.py empties it
    cache: Path | None = None
    # all stores together take at most so many gigabytes; 0 stores nothing
    cache_gb: Gigabytes = 10.0
    # compute what stands still with OpenVINO where it is installed and the device is a CPU
    openvino: bool = True
    # precision of the backbone's computing; auto takes what suits the device
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "auto"
    # compile the training steps (XLA, torch.compile); auto takes what suits the backend
    jit: Literal["auto", "on", "off"] = "auto"
    # where new augmented views are made each epoch: cpu, as the images are read, or device, as
    # layers of the model, for a GPU that waits for its images
    augment_on: Literal["cpu", "device"] = "cpu"
    # threads that read and augment images
    workers: Threads = 2

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFolder("--run", self.run, RUN)]

    def augmentation(self) -> "Augmentation | None":
        """The augmentation these flags ask for, None where all ranges are 0."""
        # Imports Keras, which a mistake in the flags need not wait for.
        from finegrain.images.augmentation import Augmentation

        asked = Augmentation(self.rotation, self.shear, self.zoom, self.horizontal_flip)
        return asked if asked.changes_anything else None

    def of_every_stage(self) -> dict[str, Any]:
        """The fields of `finegrain.training.stage.Stage` that all stages of a script share."""
        return {
            "momentum": self.momentum,
            "train_batch_norm": self.train_batch_norm,
            "reduce_patience": self.reduce_patience,
            "stop_patience": self.stop_patience,
        }

    def recorded(self) -> dict[str, Any]:
        """The flags that shape the result, as JSON values, for the run's config."""
        return {key: value for key, value in asdict(self).items() if key not in FREE_FLAGS}

    @classmethod
    def held_before(cls) -> dict[str, Any]:
        """What held before a flag was there, for runs begun then: as a rule its default.

        So a new flag's default is what was done before, or stands in `HELD_BEFORE`.
        """
        known = {k: v for k, v in defaults_of(cls).items() if k not in FREE_FLAGS}
        return known | {name: HELD_BEFORE[name] for name in known.keys() & HELD_BEFORE.keys()}
