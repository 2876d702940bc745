"""What each part of the modern recipe brings: one taken away, or one added, at a time.

    python benchmarks/ablation.py --sources birds=PHOTOS dogs=MORE_PHOTOS \\
        --output runs/ablation --backbone mobilenet_v2 --weights FILE

For each folder of photographs and each seed it makes a data set, with the official split where the
folder has one and else a split of the seed's own, and trains on it the modern recipe and, a row
each, the recipe with one flag changed. All rows of a seed read the same stored activations where
the part allows it. Gains are differences between runs on the same split and seed. The table is
sorted by what a part saves on the test images for each second of the training that has it; whoever
chooses by it looks at the column of the validation images, on which alone choices may be made.
Beside them stands logistic regression on the embeddings of the frozen backbone.

It runs the commands a user would type, as processes of their own. Stopped, the same command goes
on; sources, seeds and rows may be added to later, and a table is made of what is finished.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from side_by_side.commands import AtOnce, call, side_by_side
from side_by_side.data_sets import make_data_set
from side_by_side.parts import MODERN, Row, parts_table
from side_by_side.reached import MODERN_FOLDER, SECONDS, finished

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import BatchSize, ImageSize, Seed, Share
from finegrain.whole_files import written_whole

PAIRS, ANSWERS = "froze_fine_tune.py", "tools/evaluate.py"


def pairs(loss: str) -> dict[str, Any]:
    """A loss of pairs beside the softmax, on batches of 8 classes of 4."""
    return {"pair_loss": loss, "same_class_weight": 0.3, "images_per_class": 4}


ROWS = (
    Row(MODERN),
    # Original with the same stored views, so that it costs minutes too
    Row("all of it, not the original recipe", {"recipe": "original", "unfrozen_views": 4}, True),
    # Optimisation
    # The heads at 0.01. With the blocks at 0.01 too it leaves all bounds in the second epoch.
    Row("AdamW, not SGD", {"unfrozen_optimizer": "sgd", "unfrozen_learning_rate": 1e-3}, True),
    Row("cosine, not a plateau", {"schedule": "plateau"}, True),
    Row("an epoch of warm-up", {"warm_up_epochs": 0}, True),
    Row("heads ten times as fast", {"head_rate": 1}, True),
    Row("the last epoch, not the best", {"monitor": "loss"}, True),
    Row("a softmax from zero", {"head_start": "random"}, True),
    Row("weight decay", {"weight_decay": 0}, True),
    Row("the softmax of the baseline", {"head_start": "logistic", "head_rate": 1}),
    Row("EMA 0.99", {"ema": 0.99}),
    Row("weights between first and last", {"interpolate": True}),
    Row("clipping at norm 1", {"clip_norm": 1}),
    Row("layer decay 0.7", {"layer_decay": 0.7}),
    Row("20 epochs, not 12", {"unfrozen_epochs": 20}),
    Row("a third of the rate", {"unfrozen_learning_rate": 1e-4}),
    Row("twice the rate", {"unfrozen_learning_rate": 6e-4}),
    # Pictures
    Row("augmentation", {"unfrozen_augmentation": False}, True),
    Row("plain views among the stored ones", {"plain_views": False}, True),
    Row("rotation by 45 degrees, not 15", {"rotation": 45}),
    Row("8 stored views, not 4", {"unfrozen_views": 8}),
    Row("new views every epoch", {"unfrozen_views": 0}),
    Row("random crops", {"crop_area": 0.35, "rotation": 0, "zoom": 0, "shear": 0}),
    Row("colour", {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2}),
    Row("erasing", {"erasing": 0.5}),
    Row("mixup", {"mixup": 0.2}),
    Row("CutMix", {"cutmix": 1.0}),
    Row("the middle cut out, not squeezed", {"fit": "crop"}),
    Row("borders, not squeezed", {"fit": "pad"}),
    Row("a last stage at 256 pixels", {"final_size": 256}),
    # Losses and heads
    Row("smoothed labels", {"label_smoothing": 0}, True),
    Row("dropout", {"dropout": 0}, True),
    Row("pairs: verification", pairs("verification"), script=PAIRS),
    Row("pairs: contrastive", pairs("contrastive"), script=PAIRS),
    Row("pairs: supervised contrastive", pairs("supervised-contrastive"), script=PAIRS),
    Row("pairs: circle", pairs("circle"), script=PAIRS),
    Row("pairs: triplet", pairs("triplet"), script=PAIRS),
    Row("class-balanced batches alone", {"images_per_class": 4}),
    Row("ArcFace", {"objective": "arcface"}),
    Row("GeM", {"pooling": "gem"}),
    Row("BNNeck", {"neck": "bn"}),
    # What is trained
    Row("the last blocks learn", {"frozen_epochs": 12, "unfrozen_epochs": 0}, True),
    Row("BatchNormalization learns", {"train_batch_norm": True}),
    Row("all layers learn", {"unfreeze_from": 0}),
    Row("twice as many blocks learn", {"unfreeze_from": "block_10_expand"}),
    # Answers of the modern recipe's run
    Row("answers: flip", {"flip": True}, script=ANSWERS),
    Row("answers: flip, two scales", {"flip": True, "scales": (1, 1.15)}, script=ANSWERS),
    Row("answers: flip, five crops", {"flip": True, "crops": 5}, script=ANSWERS),
    Row("answers: flip, 256 pixels", {"flip": True, "image_size": 256}, script=ANSWERS),
)


@dataclass
class Settings:
    """Train the modern recipe with one part taken away or added, over sets and seeds."""

    # NAME=FOLDER of labelled photographs, any layout that img2keras.py knows
    sources: tuple[str, ...]
    # folder for data sets, runs and the table
    output: Path
    # backbone and weights, as for single_model.py
    backbone: str = "mobilenet_v2"
    weights: str = "imagenet"
    image_size: ImageSize = 224
    batch_size: BatchSize = 32
    seeds: tuple[Seed, ...] = (0, 1, 2)
    # shares of the photographs that choices are made on, and that none is made on
    valid_fraction: Share = 0.15
    test_fraction: Share = 0.3
    # only rows whose name holds one of these words; by default all
    only: tuple[str, ...] = ()
    # so many trainings at a time, each of one thread; of small networks two get more done than one
    at_once: AtOnce = 1
    # write the table of what is finished and train nothing
    train: bool = True


def main(settings: Settings) -> None:
    sources, rows = named_sources(settings.sources), chosen_rows(settings.only)
    places = [(name, seed) for name in sources for seed in settings.seeds]
    if settings.train:
        for name, seed in places:
            data = place(settings, name, seed) / "data"
            fractions = settings.valid_fraction, settings.test_fraction
            make_data_set(sources[name], data, seed, *fractions)
        # A row is whole in all sets and seeds before the next begins.
        for row in rows:
            jobs = (partial(train, settings, row, *place) for place in places)
            side_by_side(jobs, settings.at_once)
    table = parts_table(rows, {each: place(settings, *each) for each in places})
    with written_whole(settings.output / "table.md") as file:
        file.write_text(table, encoding="utf-8")
    print(table)


def named_sources(texts: Sequence[str]) -> dict[str, Path]:
    """Name -> folder of photographs."""
    sources = {}
    for text in texts:
        name, _, folder = text.partition("=")
        if not name or "/" in name or not Path(folder).is_dir():
            raise UserError(f"--sources {text} must be NAME=FOLDER, with a folder of photographs")
        sources[name] = Path(folder)
    return sources


def chosen_rows(only: Sequence[str]) -> list[Row]:
    """The modern recipe, and the rows that were asked for."""
    names = [row.name for row in ROWS[1:]]
    for word in only:
        if not any(word in name for name in names):
            raise UserError(f"--only {word} is in no row; the rows are: {'; '.join(names)}")
    wanted = [row for row in ROWS[1:] if not only or any(word in row.name for word in only)]
    return [ROWS[0], *wanted]


def place(settings: Settings, name: str, seed: int) -> Path:
    """The folder of a source's data set and runs of one seed."""
    return settings.output / name / f"seed-{seed}"


def train(settings: Settings, row: Row, name: str, seed: int) -> None:
    """Train a row on one data set, or ask its modern run, where that has not been done."""
    folder = place(settings, name, seed)
    # What is finished needs no process to say so.
    if finished(folder / row.folder):
        return
    if row.script == ANSWERS:
        started = time.monotonic()
        asked = {"run": folder / MODERN_FOLDER, "output": folder / row.folder}
        call(row.script, is_alone=settings.at_once == 1, **asked, **row.flags)
        with written_whole(folder / row.folder / SECONDS) as file:
            file.write_text(f"{time.monotonic() - started:.1f}")
        return
    call(
        row.script,
        is_alone=settings.at_once == 1,
        data=folder / "data",
        run=folder / row.folder,
        backbone=settings.backbone,
        weights=settings.weights,
        image_size=settings.image_size,
        batch_size=settings.batch_size,
        seed=seed,
        # The recipe's own run has measured it.
        baseline=row.name == MODERN,
        **{"recipe": "modern", **row.flags},
    )


if __name__ == "__main__":
    run_command(main, Settings)
