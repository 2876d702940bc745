"""The flags that every training script shares; a script adds its stages to them."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from finegrain.flags import (
    BatchSize,
    CountOrZero,
    Devices,
    Gigabytes,
    ImageSize,
    Probability,
    ProperShare,
    Seed,
    Share,
    Temperature,
    Threads,
    Views,
)
from finegrain.frame import SQUEEZE, Fit
from finegrain.inference.openvino_engine import AskedPrecision
from finegrain.outputs import RUN, Output, OutputFolder
from finegrain.read_ahead import default_workers
from finegrain.runs.run_config import Pixels, defaults_of
from finegrain.training.stage import Stage

# Flags that came later with a default other than what was done before: what was done before.
HELD_BEFORE = {"views": 0}
# Flags that change nothing in the result, so a run may go on with other values.
# a teacher is recorded by its content.
FREE_FLAGS = (
    *("recipe", "data", "run", "baseline", "workers", "cache", "cache_gb", "memory_gb"),
    *("teacher", "pseudo_labels", "devices"),
)


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
    # how a photograph becomes the square: squeeze it, crop its middle, or pad it with black borders
    fit: Fit = SQUEEZE
    # what the backbone sees of pixels: own, what it was pretrained on; as some recipes were first
    # coded, unit, from 0 to 1, or raw, from 0 to 255
    pixels: Pixels = "own"
    # images a batch; 32 is sized for 6 GB of GPU memory with Xception at 299
    batch_size: BatchSize = 32
    # of the order of images, augmentation, pairs, dropout and fresh weights
    seed: Seed = 0
    # first backbone layer the unfrozen stage trains, a name or an index (Xception: 105);
    # by default the backbone's last blocks
    unfreeze_from: str | None = None
    # let BatchNormalization of unfrozen layers learn; frozen is safer on small data
    train_batch_norm: bool = False
    # share of the embedding dropped before the softmax
    dropout: Share = 0.5
    # frozen stage: so many augmented views of each image, whose embeddings are computed once and
    # stored; 0 draws new ones every epoch and computes them every time
    views: Views = 4
    # the same for the unfrozen stage, where a stored view takes more disk (Xception: 0.5 MB)
    unfrozen_views: Views = 0
    # class-balanced batches: so many images of each class in a batch; 0 draws plain batches
    images_per_class: CountOrZero = 0
    # folder of what is computed once and stored; by default `cache` beside the run folder, for
    # all runs there. tools/clear_cache.py empties it
    cache: Path | None = None
    # all stores together take at most so many gigabytes; 0 stores nothing
    cache_gb: Gigabytes = 10.0
    # memory of each device that trains: a stage that is likely to take more gigabytes is told of
    # before it starts, and a head whose first layer alone does is refused
    memory_gb: Gigabytes = 6.0
    # compute what stands still with OpenVINO where it is installed and the device is a CPU
    openvino: bool = True
    # how OpenVINO computes embeddings of a frozen backbone: auto judges by some photographs whether
    # int8 (with NNCF) or bfloat16 tells classes apart as well as float32, where that pays
    inference: AskedPrecision = "auto"
    # precision of the backbone's computing; auto takes what suits the device
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = "auto"
    # compile the training steps (XLA, torch.compile); auto takes what suits the backend
    jit: Literal["auto", "on", "off"] = "auto"
    # train on so many GPUs or TPUs of this machine together, on Keras's JAX backend; 0 takes all
    devices: Devices = 1
    # let the same seed make the same numbers on a GPU too, which costs speed; a CPU always does
    deterministic: bool = False
    # where new augmented views are made each epoch: cpu, as the images are read, or device, as
    # layers of the model, for a GPU that waits for its images
    augment_on: Literal["cpu", "device"] = "cpu"
    # measure what logistic regression on the frozen backbone's embeddings reaches, to be shown
    # beside every error of the training
    baseline: bool = True
    # threads that read and augment images; by default one for each core, 16 at most
    workers: Threads = field(default_factory=default_workers)
    # learn the validation images too, for a last training before a submission: what they would tell
    # of it is told no more. Needs --monitor last, as the modern recipe has it
    train_on_validation: bool = False
    # finished runs of the same classes, whose averaged answers are learnt, see the next two; or
    # CSV files with rows for all images, as --format probabilities writes them
    teacher: tuple[Path, ...] = ()
    # the label of a training image is so much the teacher's answer for the plain image
    teacher_weight: Probability = 0.0
    # the teacher's logits are divided by it: above 1 its answers are softer
    teacher_temperature: Temperature = 1.0
    # folder of unlabelled photographs to train on too, under the class that the teacher gives
    # them; scores on these photographs can then no longer be compared with other runs'
    pseudo_labels: Path | None = None
    # only those whose class the teacher holds to be so probable
    pseudo_threshold: ProperShare = 0.95

    def outputs(self) -> list[Output]:
        """What is written."""
        return [OutputFolder("--run", self.run, RUN)]

    def stages(self, unfreeze_from: str) -> list[Stage]:
        """The stages of the recipe, in their order; each script says them.

        Args:
            unfreeze_from: first backbone layer that an unfrozen stage trains: as asked for, else
                the backbone's own.
        """
        raise NotImplementedError

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
