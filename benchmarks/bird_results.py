"""The heads of bird_fine_tune.py side by side: several seeds, images no choice was made on.

    python benchmarks/bird_results.py --source PHOTOS --output runs/results-heads \\
        --backbone mobilenet_v2 --weights FILE

For each seed it makes a data set with a split of its own, so the test images differ too, and
trains each head on it, without and with the pair loss: part 1 the head alone, part 2 with the
backbone's last blocks. All heads get the same tail (a dropout and the softmax, no layer between,
which the full bilinear head would not bear), the same rates, views and batches, so what differs
is the head. Prints test errors as mean and range over the seeds.

What the heads have in common (feature maps of the frozen backbone, activations below the last
blocks) is computed by the first run of a seed and stored; the seconds are those of the epochs
alone. Runs the commands a user would type, as processes of their own. Stopped, the same command
goes on; --seeds and --heads may be added to later.
"""

import csv
import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from side_by_side.commands import AtOnce, call, side_by_side
from side_by_side.data_sets import make_data_set

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import (
    BatchSize,
    ImageSize,
    LearningRate,
    LossWeight,
    Seed,
    Share,
    StageEpochs,
    Views,
    Width,
)
from finegrain.quiet import load_keras
from finegrain.whole_files import written_whole

FINAL_STAGE = "2-unfrozen"
PAIR_LOSSES = ("none", "verification")
# What may differ when it goes on: which runs there are.
FREE = ("output", "seeds", "heads", "pair_loss", "at_once")


@dataclass
class Settings:
    """Measure heads on one backbone, with and without the pair loss, over several seeds."""

    # folder of labelled photographs, any layout that img2keras.py knows
    source: Path
    # folder for data sets, runs and the table
    output: Path
    # backbone and weights, as for bird_fine_tune.py
    backbone: str = "mobilenet_v2"
    weights: str = "imagenet"
    image_size: ImageSize = 160
    batch_size: BatchSize = 32
    heads: tuple[str, ...] = (
        "plain",
        "attention",
        "se",
        "cbam",
        "bilinear",
        "bilinear_attention",
        "compact_bilinear",
    )
    # train each head with the pair loss too
    pair_loss: bool = True
    same_class_weight: LossWeight = 0.5
    # the same tail for all heads: width of a layer before the softmax, and the dropout
    hidden: Width = 0
    dropout: Share = 0.5
    frozen_epochs: StageEpochs = 3
    unfrozen_epochs: StageEpochs = 6
    frozen_learning_rate: LearningRate = 1e-3
    unfrozen_learning_rate: LearningRate = 1e-4
    # first layer of part 2; by default the backbone's last blocks, 0 for all layers
    unfreeze_from: str = "block_13_expand"
    # stored views an image in both parts; 0 draws new ones every epoch
    views: Views = 3
    # shares of each class's photographs that choices are made on, and that none is made on where
    # the source has no split of its own
    valid_fraction: Share = 0.1
    test_fraction: Share = 0.3
    seeds: tuple[Seed, ...] = (0, 1, 2)
    # so many trainings at a time, each of one thread
    at_once: AtOnce = 1


def main(settings: Settings) -> None:
    if not settings.source.is_dir():
        raise UserError(f"there is no folder {settings.source}; name one with photographs")
    load_keras()
    bind(settings)
    for seed in settings.seeds:
        data = data_folder(settings, seed)
        make_data_set(settings.source, data, seed, settings.valid_fraction, settings.test_fraction)
    jobs = (
        partial(train, settings, head, pair_loss, seed)
        for head, pair_loss in rows_of(settings)
        for seed in settings.seeds
    )
    side_by_side(jobs, settings.at_once)
    table = results_table(settings)
    with written_whole(settings.output / "table.md") as file:
        file.write_text(table, encoding="utf-8")
    print(table)


def bind(settings: Settings) -> None:
    """Refuse to go on in a folder of runs that were made with other settings."""
    from finegrain.runs.run_config import refuse_differences

    file = settings.output / "settings.json"
    asked = {key: value for key, value in asdict(settings).items() if key not in FREE}
    asked |= {"source": str(settings.source)}
    if file.is_file():
        refuse_differences(json.loads(file.read_text(encoding="utf-8")), asked, settings.output)
    with written_whole(file) as beside:
        beside.write_text(json.dumps(asked, indent=1), encoding="utf-8")


def train(settings: Settings, head: str, pair_loss: str, seed: int) -> None:
    """Train a head on a seed's data set where that has not been done."""
    run = run_folder(settings, head, pair_loss, seed)
    # What is finished needs no process to say so.
    if FINAL_STAGE in stages_of(run):
        return
    call(
        "recipes/bird_fine_tune.py",
        is_alone=settings.at_once == 1,
        data=data_folder(settings, seed),
        run=run,
        # A model in name only: what makes it one is given below.
        model="efficientnet_b4",
        backbone=settings.backbone,
        weights=settings.weights,
        image_size=settings.image_size,
        batch_size=settings.batch_size,
        seed=seed,
        head=head,
        hidden=settings.hidden,
        dropout=settings.dropout,
        pair_loss=pair_loss,
        same_class_weight=settings.same_class_weight,
        frozen_epochs=settings.frozen_epochs,
        unfrozen_epochs=settings.unfrozen_epochs,
        frozen_learning_rate=settings.frozen_learning_rate,
        unfrozen_learning_rate=settings.unfrozen_learning_rate,
        unfreeze_from=settings.unfreeze_from,
        views=settings.views,
        unfrozen_views=settings.views,
    )


def data_folder(settings: Settings, seed: int) -> Path:
    return settings.output / f"data-{seed}"


def rows_of(settings: Settings) -> list[tuple[str, str]]:
    """The (head, pair loss) pairs to train."""
    losses = PAIR_LOSSES if settings.pair_loss else PAIR_LOSSES[:1]
    return [(head, loss) for loss in losses for head in settings.heads]


def run_folder(settings: Settings, head: str, pair_loss: str, seed: int) -> Path:
    name = head if pair_loss == "none" else f"{head}-pairs"
    return settings.output / f"{name}-{seed}"


def results_table(settings: Settings) -> str:
    """The errors of all runs as a Markdown table."""
    lines = [
        "| head | pair loss | parameters | validation error | test error | range | seconds a run |",
        "|---|---|---|---|---|---|---|",
    ]
    for head, pair_loss in rows_of(settings):
        runs = [run_folder(settings, head, pair_loss, seed) for seed in settings.seeds]
        results = [stages_of(run)[FINAL_STAGE] for run in runs]
        test, valid = ([row[f"{split}_error"] for row in results] for split in ("test", "valid"))
        lines.append(
            f"| {head} | {'yes' if pair_loss != 'none' else 'no'} | {parameters(runs[0]):,} | "
            f"{mean(valid):.4f} | {mean(test):.4f} | {min(test):.4f} to {max(test):.4f} | "
            f"{mean([seconds(run) for run in runs]):.0f} |"
        )
    return "\n".join(lines) + "\n"


def stages_of(run: Path) -> dict[str, dict[str, float]]:
    """What the finished stages of a run reached."""
    file = run / "results.json"
    return json.loads(file.read_text(encoding="utf-8"))["stages"] if file.exists() else {}


def parameters(run: Path) -> int:
    """Weights of the model that predicts, its backbone included."""
    from finegrain.runs.finished_run import open_finished_run

    return open_finished_run(run).classifier().count_params()


def seconds(run: Path) -> float:
    """What the epochs of all stages took together."""
    total = 0.0
    for history in run.glob("*/history.csv"):
        with history.open(newline="", encoding="utf-8") as table:
            total += sum(float(row["seconds"]) for row in csv.DictReader(table))
    return total


def mean(values: list[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)


if __name__ == "__main__":
    run_command(main, Settings)
