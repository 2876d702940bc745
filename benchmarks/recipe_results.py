"""The results table of the README: every recipe, several seeds, on images no choice was made on.

    python benchmarks/recipe_results.py --source PHOTOS --output runs/results-dogs \\
        --backbone mobilenet_v2 --weights FILE --image-size 160

For each seed it makes a data set with a split of its own (so the test images differ too), trains
the softmax and the multi-loss model with single_model.py and froze_fine_tune.py, retrains both
with trick_tune.py, and prints test errors as mean and range over the seeds. It runs the commands a
user would type, as processes of their own, and shows them. Stopped, the same command goes on.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from side_by_side.commands import call

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flag_types import (
    BatchSize,
    CountOrZero,
    Epochs,
    ImageSize,
    LearningRate,
    LossWeight,
    Probability,
    Seed,
    StageEpochs,
    Views,
)

KINDS = ("data", "single", "multi")
ROWS = (
    ("softmax", "single", "2-unfrozen"),
    ("softmax, retrained without augmentation", "single", "3-retrained"),
    ("multi-loss after stage 2", "multi", "2-unfrozen"),
    ("multi-loss after stage 3", "multi", "3-retrained"),
)


@dataclass
class Settings:
    """Measure softmax and multi-loss, with and without stage 3, over several seeds."""

    # folder of labelled photographs, any layout that img2keras.py knows
    source: Path
    # folder for data sets, runs and the table
    output: Path
    # backbone and weights, as for single_model.py
    backbone: str = "mobilenet_v2"
    weights: str = "imagenet"
    image_size: ImageSize = 160
    batch_size: BatchSize = 32
    frozen_epochs: StageEpochs = 10
    unfrozen_epochs: StageEpochs = 10
    unfrozen_learning_rate: LearningRate = 1e-4
    # stored views an image in stage 1; 0 draws new ones every epoch
    views: Views = 0
    # of stage 3
    retrain_epochs: Epochs = 5
    # of the multi-loss model
    same_class_weight: LossWeight = 0.5
    positive_rate: Probability = 0.25
    images_per_class: CountOrZero = 0
    seeds: tuple[Seed, ...] = (0, 1, 2)


def main(settings: Settings) -> None:
    if not settings.source.is_dir():
        raise UserError(f"there is no folder {settings.source}; name one with photographs")
    for seed in settings.seeds:
        train_all(settings, seed)
    table = results_table(settings)
    (settings.output / "table.md").write_text(table, encoding="utf-8")
    print(table)


def train_all(settings: Settings, seed: int) -> None:
    """Make the data set of a seed and train every recipe on it."""
    data, single, multi = (settings.output / f"{kind}-{seed}" for kind in KINDS)
    call(
        "img2keras.py",
        "--source",
        settings.source,
        "--output",
        data,
        "--seed",
        seed,
        "--valid-fraction",
        0.1,
        "--test-fraction",
        0.3,
    )
    training = (
        "--data",
        data,
        "--backbone",
        settings.backbone,
        "--weights",
        settings.weights,
        "--image-size",
        settings.image_size,
        "--batch-size",
        settings.batch_size,
        "--seed",
        seed,
        "--frozen-epochs",
        settings.frozen_epochs,
        "--unfrozen-epochs",
        settings.unfrozen_epochs,
        "--unfrozen-learning-rate",
        settings.unfrozen_learning_rate,
        "--views",
        settings.views,
    )
    call("single_model.py", "--run", single, *training)
    call(
        "froze_fine_tune.py",
        "--run",
        multi,
        *training,
        "--same-class-weight",
        settings.same_class_weight,
        "--positive-rate",
        settings.positive_rate,
        "--images-per-class",
        settings.images_per_class,
    )
    for run in (single, multi):
        call("trick_tune.py", "--run", run, "--epochs", settings.retrain_epochs)


def results_table(settings: Settings) -> str:
    """The errors of all runs as a Markdown table."""
    lines = [
        "| recipe | validation error | test error | range | seconds a run |",
        "|---|---|---|---|---|",
    ]
    for name, kind, stage in ROWS:
        runs = [
            json.loads((settings.output / f"{kind}-{seed}" / "results.json").read_text())["stages"]
            for seed in settings.seeds
        ]
        errors = [stages[stage]["test_error"] for stages in runs]
        valid = [stages[stage]["valid_error"] for stages in runs]
        seconds = [
            sum(numbers["seconds"] for key, numbers in stages.items() if key <= stage)
            for stages in runs
        ]
        lines.append(
            f"| {name} | {mean(valid):.4f} | {mean(errors):.4f} | "
            f"{min(errors):.4f} to {max(errors):.4f} | {mean(seconds):.0f} |"
        )
    return "\n".join(lines) + "\n"


def mean(values: list[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)


if __name__ == "__main__":
    run_command(main, Settings)
