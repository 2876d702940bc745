"""The recipe as first coded and ours, side by side: how many times cheaper is the same training?

    python benchmarks/recipe_speed.py --source PHOTOS --output runs/speed --weights none

Draws 600 of the photographs (each class its share), makes a data set of them by img2keras.py, and
trains it in three stages both ways: `first_coded.py` (two towers, plain `ImageDataGenerator`, no
stores) and our scripts (`froze_fine_tune.py`, `trick_tune.py`), each a process of its own, one
after the other, with the same images, backbone, weights, batches and epochs; all epochs are run.
Then the loaders, the submissions and the exports of both. Prints a Markdown table and keeps it in
table.md; a second one holds our side once more without OpenVINO, for machines like that.

What is counted: a stage's seconds hold its training, validation, checkpoints, and with ours the
filling of its stores, which begin empty; "whole processes" adds imports, model building, the
validation error and saving. A training image counts once an epoch, though it passes the backbone
twice as first coded. Peak memory is of the largest process.

On a slow machine `--first-coded-epochs 2` runs two epochs of each of its stages and takes the
others to be as the second, since each does the same work; the table says so and then has no
validation error of both. For those take a backbone with real weights and three seeds:

    python benchmarks/recipe_speed.py --source PHOTOS --output runs/speed-errors --seeds 0 1 2 \\
        --backbone mobilenet_v2 --weights FILE --image-size 224

Stopped, the same command goes on after the last finished part. `--profile` shows where our seconds
go and what ratio the machine allows at most.
"""

import importlib.util
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from side_by_side.backbones import check_weights, family
from side_by_side.kept_parts import KeptParts
from side_by_side.measure import (
    loader_growth,
    make_data_set,
    make_fresh_weights,
    measure_export,
    measure_loader,
    measure_prediction,
    measure_profile,
    measure_training,
)
from side_by_side.plan import Plan
from side_by_side.table import markdown

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import (
    BatchSize,
    Count,
    CountOrZero,
    Epochs,
    ImageSize,
    ProperShare,
    Seed,
    StageEpochs,
    Views,
)
from finegrain.whole_files import written_whole

# Flags that add parts to a measurement and change none.
ADDING_FLAGS = (
    *("source", "output", "seeds", "without_openvino", "loader", "profile"),
    "export_photos",
)


@dataclass
class Settings:
    """Measure the recipe as first coded against ours."""

    # folder of labelled photographs, any layout that img2keras.py knows
    source: Path
    # folder for the data set, runs, stores and tables
    output: Path
    # xception, mobilenet_v2 or mobilenet_v2_0.35
    backbone: str = "xception"
    # imagenet, a .weights.h5 file, or none for fresh ones, the same on both sides
    weights: str = "none"
    # side of the square the images are resized to, in pixels
    image_size: ImageSize = 299
    # photographs to draw
    photos: Count = 600
    # share of them for validation
    valid_fraction: ProperShare = 0.1
    # images a batch
    batch_size: BatchSize = 32
    # epochs of the three stages
    epochs: tuple[Epochs, Epochs, Epochs] = (10, 5, 5)
    # stored views an image of our stage 1
    views: Views = 4
    # first layer that stages 2 and 3 train; by default the recipe's
    unfreeze_from: str | None = None
    # of our training: auto, float32, mixed_bfloat16 or mixed_float16
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    # epochs of each stage to run of the recipe as first coded, two or more; 0 runs all
    first_coded_epochs: StageEpochs = 0
    # submissions of ten photographs, of which the median counts
    repeats: Count = 3
    # seeds of the training
    seeds: tuple[Seed, ...] = (0,)
    # measure our side once more without OpenVINO
    without_openvino: bool = True
    # measure the loader too
    loader: bool = True
    # pictures of noise whose embeddings both export; 0 leaves that out
    export_photos: CountOrZero = 20_000
    # show where our seconds go and what ratio the machine allows
    profile: bool = False


def main(settings: Settings) -> None:
    check(settings)
    parts = KeptParts(settings.output, shaping(settings))
    plan = prepare(settings, parts)
    tables = []
    for openvino in engines(settings):
        rows = measure_training(parts, plan, settings.seeds, openvino)
        if settings.loader:
            rows += measure_loader(parts, plan)
        rows += measure_prediction(parts, plan, settings.seeds[0], openvino)
        if settings.export_photos and openvino:
            rows += measure_export(parts, settings.export_photos)
        device = parts.read(f"first-coded-recipe-{settings.seeds[0]}")["device"]
        is_cpu = device.startswith("CPU")
        engine = f", {'with' if openvino else 'without'} OpenVINO" if is_cpu else ""
        tables.append(f"{describe(settings, device + engine)}\n\n{markdown(rows)}")
        if settings.loader:
            tables[-1] += f"\n{loader_growth(parts, plan)}\n"
        if settings.profile:
            tables[-1] += "\n" + measure_profile(parts, plan, settings.seeds[0], openvino)
        print(f"\n{tables[-1]}", flush=True)
        if not is_cpu:
            break
    with written_whole(settings.output / "table.md") as file:
        file.write_text("\n".join(tables), encoding="utf-8")


def shaping(settings: Settings) -> dict[str, str]:
    """The flags that every number depends on."""
    flags = asdict(settings).items()
    return {key: str(value) for key, value in flags if key not in ADDING_FLAGS}


def engines(settings: Settings) -> list[bool]:
    """Whether our side shall use OpenVINO, one measurement after the other."""
    if importlib.util.find_spec("openvino") is None:
        print("OpenVINO is not installed, so our side is measured without it only")
        return [False]
    return [True, False] if settings.without_openvino else [True]


def check(settings: Settings) -> None:
    """Refuse what cannot be measured, before anything is made."""
    if not settings.source.is_dir():
        raise UserError(f"there is no folder {settings.source}; name one with photographs")
    family(settings.backbone)
    check_weights(settings.weights)
    if settings.first_coded_epochs == 1:
        raise UserError(
            "--first-coded-epochs must be 0 or at least 2, since the first also builds the graph"
        )
    if not settings.seeds:
        raise UserError("--seeds names none; give one or several")


def prepare(settings: Settings, parts: KeptParts) -> Plan:
    """Make the data set and the weights that both sides share."""
    data = make_data_set(parts, settings.source, settings.photos, settings.valid_fraction)
    plan = Plan(
        data,
        settings.backbone,
        settings.weights,
        settings.image_size,
        settings.batch_size,
        settings.epochs,
        settings.first_coded_epochs,
        settings.views,
        settings.unfreeze_from,
        settings.precision,
        settings.repeats,
    )
    if settings.weights == "none":
        plan = replace(plan, weights=str(make_fresh_weights(parts, plan)))
    return plan


def describe(settings: Settings, device: str) -> str:
    """What the table was measured with."""
    seeds = ", ".join(map(str, settings.seeds))
    text = (
        f"{settings.backbone} at {settings.image_size}, {settings.photos} photographs, batches of "
        f"{settings.batch_size}, {device}, seed {seeds}."
    )
    if settings.precision != "auto":
        text += f" Ours trains in {settings.precision}."
    if settings.weights == "none":
        text += " The weights are fresh, so the validation errors say nothing of the recipe."
    return text


if __name__ == "__main__":
    run_command(main, Settings)
