"""The results table: every recipe beside its baseline, on images no choice was made on.

    python benchmarks/recipe_results.py --source PHOTOS --output runs/results-dogs \\
        --backbone mobilenet_v2 --weights FILE --image-size 160

For each seed it makes a data set, with the official split where the photographs come with one and
else with a split of the seed's own, so that the test images differ too. On it, it trains the
softmax and the multi-loss model with single_model.py and froze_fine_tune.py, retrains both with
trick_tune.py, and prints test errors as mean and range over the seeds. Beside them stands what
needs no training of a network: logistic regression on the embeddings of the frozen backbone, on
the same splits. --no-recipes measures that alone. It runs the commands a user would type, as
processes of their own, and shows them. Stopped, the same command goes on.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from side_by_side.commands import call
from side_by_side.data_sets import make_data_set

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import (
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
from finegrain.whole_files import written_whole

BASELINE = "logistic regression on frozen embeddings"
# What names weights without being a file.
WITHOUT_FILE = ("imagenet", "none")
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
    # stored views an image in stage 1 and in stage 2; 0 draws new ones every epoch
    views: Views = 0
    unfrozen_views: Views = 0
    # of stage 3
    retrain_epochs: Epochs = 5
    # of the multi-loss model
    same_class_weight: LossWeight = 0.5
    positive_rate: Probability = 0.25
    images_per_class: CountOrZero = 0
    seeds: tuple[Seed, ...] = (0, 1, 2)
    # train the recipes; without, only the baseline is measured
    recipes: bool = True


def main(settings: Settings) -> None:
    if not settings.source.is_dir():
        raise UserError(f"there is no folder {settings.source}; name one with photographs")
    for seed in settings.seeds:
        make_data_set(settings.source, settings.output / f"data-{seed}", seed, 0.1, 0.3)
        measure_baseline(settings, seed)
        if settings.recipes:
            train_all(settings, seed)
    table = results_table(settings)
    (settings.output / "table.md").write_text(table, encoding="utf-8")
    print(table)


def measure_baseline(settings: Settings, seed: int) -> None:
    """Export the frozen backbone's embeddings of a seed, and fit a logistic regression on them."""
    result = settings.output / f"baseline-{seed}.json"
    if result.exists():
        return
    started = time.monotonic()
    features, scores = settings.output / f"features-{seed}", settings.output / f"scores-{seed}.json"
    weights = settings.weights
    call(
        "recipes/export_features.py",
        data=settings.output / f"data-{seed}",
        output=features,
        backbones=settings.backbone,
        weights=weights if weights in WITHOUT_FILE else f"{settings.backbone}={weights}",
        image_size=settings.image_size,
    )
    call(
        "recipes/merge_features.py",
        features=sorted(features.glob("*.h5")),
        classifier="logistic",
        normalise="standardise",
        leave_one_out=False,
        scores=scores,
    )
    (score,) = json.loads(scores.read_text(encoding="utf-8")).values()
    errors = {f"{split}_error": score[split]["top1_error"] for split in ("valid", "test")}
    with written_whole(result) as file:
        file.write_text(json.dumps({**errors, "seconds": time.monotonic() - started}))


def train_all(settings: Settings, seed: int) -> None:
    """Train every recipe on the data set of a seed."""
    data, single, multi = (settings.output / f"{kind}-{seed}" for kind in KINDS)
    training = {
        "data": data,
        "backbone": settings.backbone,
        "weights": settings.weights,
        "image_size": settings.image_size,
        "batch_size": settings.batch_size,
        "seed": seed,
        "frozen_epochs": settings.frozen_epochs,
        "unfrozen_epochs": settings.unfrozen_epochs,
        "unfrozen_learning_rate": settings.unfrozen_learning_rate,
        "views": settings.views,
        "unfrozen_views": settings.unfrozen_views,
    }
    call("single_model.py", run=single, **training)
    call(
        "froze_fine_tune.py",
        run=multi,
        **training,
        same_class_weight=settings.same_class_weight,
        positive_rate=settings.positive_rate,
        images_per_class=settings.images_per_class,
    )
    for run in (single, multi):
        call("trick_tune.py", run=run, epochs=settings.retrain_epochs)


def results_table(settings: Settings) -> str:
    """The errors of all runs as a Markdown table."""
    lines = [
        "| recipe | validation error | test error | range | seconds a run |",
        "|---|---|---|---|---|",
        row(BASELINE, [read(settings.output / f"baseline-{seed}.json") for seed in settings.seeds]),
    ]
    for name, kind, last in ROWS if settings.recipes else ():
        runs = [
            read(settings.output / f"{kind}-{seed}" / "results.json")["stages"]
            for seed in settings.seeds
        ]
        lines.append(row(name, [through_stage(stages, last) for stages in runs]))
    return "\n".join(lines) + "\n"


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def through_stage(stages: dict[str, dict[str, float]], last: str) -> dict[str, float]:
    """The numbers of a stage, with the seconds of those before it."""
    seconds = sum(numbers["seconds"] for name, numbers in stages.items() if name <= last)
    return {**stages[last], "seconds": seconds}


def row(name: str, seeds: Sequence[dict[str, float]]) -> str:
    """A line of the table: means over the seeds, and the range of the test errors."""
    valid, test, seconds = (
        [numbers[key] for numbers in seeds] for key in ("valid_error", "test_error", "seconds")
    )
    return (
        f"| {name} | {mean(valid):.4f} | {mean(test):.4f} | "
        f"{min(test):.4f} to {max(test):.4f} | {mean(seconds):.0f} |"
    )


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)


if __name__ == "__main__":
    run_command(main, Settings)
