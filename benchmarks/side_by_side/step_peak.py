"""Train two steps on noise, and tell the peak of this process's memory beside the estimate.

    python benchmarks/side_by_side/step_peak.py --model vgg16 --image-size 112 --batch-size 16
    python benchmarks/side_by_side/step_peak.py --model xception --unfreeze-from 105 --optimizer sgd

The model is one of recipes/bird_fine_tune.py or a backbone with a softmax. Prints a line of JSON,
in bytes. Photographs, stores and what other threads read ahead come on top in a whole training.
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from annotated_types import Interval

from finegrain.command import run_command
from finegrain.flags import BatchSize, Count, ImageSize
from finegrain.quiet import load_keras

if TYPE_CHECKING:
    import keras


@dataclass
class Settings:
    """Print estimate and peak of a training step as JSON."""

    # a model of recipes/bird_fine_tune.py, or a backbone of the table
    model: str
    # first backbone layer that learns, a name or an index; `none` trains the head alone
    unfreeze_from: str = "0"
    # by default the model's own
    image_size: ImageSize | None = None
    batch_size: BatchSize = 32
    optimizer: Literal["sgd", "adam", "adamw", "nadam"] = "adam"
    train_batch_norm: bool = False
    classes: Count = 200
    steps: Annotated[int, Interval(ge=1, le=100)] = 2


def main(settings: Settings) -> None:
    load_keras()
    from finegrain.models.step_memory import step_memory
    from finegrain.training.objectives.softmax import Softmax
    from finegrain.training.stage import Stage
    from finegrain.training.train_stage import prepare_stage
    from finegrain.training.training_fits import first_trained

    model = build(settings.model, settings.image_size, settings.classes)
    first = None if settings.unfreeze_from == "none" else settings.unfreeze_from
    stage = Stage(
        "stage",
        first,
        settings.optimizer,
        1e-4,
        epochs=1,
        train_batch_norm=settings.train_batch_norm,
    )
    memory = step_memory(
        model,
        first_trained(model, first),
        stage.optimizer,
        train_batch_norm=stage.train_batch_norm,
    )
    prepare_stage(model, Softmax(), stage, settings.steps)
    shape = (settings.batch_size, *model.input.shape[1:])
    images = np.random.default_rng(0).integers(0, 256, shape).astype("float32")
    labels = np.eye(settings.classes, dtype="float32")[
        np.arange(settings.batch_size) % settings.classes
    ]
    for _ in range(settings.steps):
        model.train_on_batch(images, labels)
    print(json.dumps({"estimate": round(memory.at(settings.batch_size)), "peak": peak_bytes()}))


def build(name: str, image_size: int | None, classes: int) -> "keras.Model":
    """A bird model, or a backbone with a softmax, with fresh weights."""
    from finegrain.models.backbone import build_backbone
    from finegrain.models.backbone_table import find_backbone
    from finegrain.models.bird_models import bird_models
    from finegrain.models.image_heads import find_head
    from finegrain.training.objectives.softmax import Softmax

    bird = bird_models().get(name)
    spec = find_backbone(bird.backbone if bird else name)
    side = image_size or (bird.image_size if bird else spec.image_size)
    backbone = build_backbone(spec, "none", (side, side))
    if bird is None:
        return Softmax().model(backbone, spec, classes)
    return Softmax().model(
        backbone,
        spec,
        classes,
        dropout=bird.dropout,
        hidden=bird.hidden,
        head=find_head(bird.head),
        hidden_dropout=bird.hidden_dropout,
        memory_gb=math.inf,
    )


def peak_bytes() -> int:
    """The most memory that this process held at once."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike getrusage's, not what the process that started this one held.
        line = next(each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    run_command(main, Settings)
