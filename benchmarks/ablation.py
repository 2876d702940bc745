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

import csv
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from side_by_side.commands import AtOnce, call, side_by_side
from side_by_side.data_sets import make_data_set
from side_by_side.spread import spread

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import BatchSize, ImageSize, Seed, Share
from finegrain.whole_files import written_whole

MODERN = "the modern recipe"
BASELINE = "logistic regression on frozen embeddings"
RESULTS, EVALUATION = "results.json", "evaluation.json"
# What a folder of answers gets last.
SECONDS = "seconds.txt"
SOFTMAX, PAIRS, ANSWERS = "single_model.py", "froze_fine_tune.py", "tools/evaluate.py"


@dataclass(frozen=True)
class Row:
    """One training beside the modern recipe's.

    Attributes:
        name: of the part.
        flags: what differs from the modern recipe.
        taken_away: whether the recipe has the part and the row has not; else it is added.
        script: that trains; that of answers asks the modern recipe's run in another way.
    """

    name: str
    flags: dict[str, Any] = field(default_factory=dict)
    taken_away: bool = False
    script: str = SOFTMAX

    @property
    def folder(self) -> str:
        """Name of its runs' folders."""
        words = [Path(self.script).stem] if self.script != SOFTMAX else []
        words += [f"{key}-{value}" for key, value in self.flags.items()]
        return "-".join(words) or "modern"


def pairs(loss: str) -> dict[str, Any]:
    """A loss of pairs beside the softmax, on batches of 8 classes of 4."""
    return {"pair_loss": loss, "same_class_weight": 0.3, "images_per_class": 4}


ROWS = (
    Row(MODERN),
    # Original with the same stored views, so that it costs minutes too
    Row("all of it, not the original recipe", {"recipe": "original", "unfrozen_views": 4}, True),
    # Optimisation
    Row("AdamW, not SGD", {"unfrozen_optimizer": "sgd", "unfrozen_learning_rate": 0.01}, True),
    Row("cosine, not a plateau", {"schedule": "plateau"}, True),
    Row("an epoch of warm-up", {"warm_up_epochs": 0}, True),
    Row("the softmax of the baseline, not zeros", {"head_start": "zero", "head_rate": 10}, True),
    Row("weight decay", {"weight_decay": 0}, True),
    Row("heads ten times as fast", {"head_rate": 10}),
    Row("EMA 0.99", {"ema": 0.99}),
    Row("weights between first and last", {"interpolate": True}),
    Row("clipping at norm 1", {"clip_norm": 1}),
    Row("layer decay 0.7", {"layer_decay": 0.7}),
    Row("20 epochs, not 12", {"unfrozen_epochs": 20}),
    Row("a third of the rate", {"unfrozen_learning_rate": 1e-4}),
    Row("twice the rate", {"unfrozen_learning_rate": 6e-4}),
    # Pictures
    Row("augmentation", {"unfrozen_augmentation": False}, True),
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
    table = results_table(settings, rows, list(sources))
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
        asked = {"run": folder / ROWS[0].folder, "output": folder / row.folder}
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


@dataclass(frozen=True)
class Reached:
    """What a run reached: top-1 errors, and the seconds that its epochs took."""

    valid: float
    test: float
    seconds: float


def finished(run: Path) -> Reached | None:
    """What a run reached, or answers of one; None where it has not come to its end."""
    if (run / SECONDS).exists():
        splits = read(run / EVALUATION)["splits"]
        right = (splits[name]["measures"]["top1_accuracy"]["value"] for name in ("valid", "test"))
        own = seconds_of(run.parent / ROWS[0].folder) + float((run / SECONDS).read_text())
        return Reached(*(1 - share for share in right), own)
    results = read(run / RESULTS) if (run / RESULTS).exists() else {}
    last = results.get("model_from")
    if not last:
        return None
    numbers = results["stages"][last]
    return Reached(numbers["valid_error"], numbers["test_error"], seconds_of(run))


def baseline(run: Path) -> Reached | None:
    """What logistic regression reached on the frozen embeddings of a run's backbone."""
    numbers = read(run / RESULTS).get("baseline") if (run / RESULTS).exists() else None
    keys = ("valid_error", "test_error", "seconds")
    return Reached(*(numbers[key] for key in keys)) if numbers else None


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def seconds_of(run: Path) -> float:
    """Of all epochs, without filling the store, which rows share."""
    total = 0.0
    for history in run.glob("*/history.csv"):
        with history.open(newline="", encoding="utf-8") as table:
            total += sum(float(row["seconds"]) for row in csv.DictReader(table))
    return total


def results_table(settings: Settings, rows: Sequence[Row], names: Sequence[str]) -> str:
    """Every row that is finished for some set, best first, as a Markdown table."""
    table = {
        (row.name, name, seed): finished(place(settings, name, seed) / row.folder)
        for row in rows
        for name in names
        for seed in settings.seeds
    }
    rows = [*rows, Row(BASELINE, taken_away=True)]
    for name, seed in ((name, seed) for name in names for seed in settings.seeds):
        table[BASELINE, name, seed] = baseline(place(settings, name, seed) / ROWS[0].folder)
    lines = [
        f"| part | {' | '.join(names)} | saved, validation | saved, test | seconds |",
        f"|---|{'---|' * len(names)}---|---|---|",
    ]
    parts = [Part.of(row, names, settings.seeds, table) for row in rows]
    first, *others = [part for part in parts if part.pairs]
    others.sort(key=lambda part: part.saved_a_second, reverse=True)
    return "\n".join([*lines, *(part.line(names) for part in [first, *others])]) + "\n"


@dataclass(frozen=True)
class Part:
    """A row beside the modern recipe.

    Attributes:
        pairs: set -> for each seed that is finished in both, what the row and the recipe reached.
    """

    row: Row
    pairs: dict[str, list[tuple[Reached, Reached]]]

    @classmethod
    def of(
        cls,
        row: Row,
        names: Sequence[str],
        seeds: Sequence[int],
        table: Mapping[tuple[str, str, int], Reached | None],
    ) -> "Part":
        """Take together what is finished."""
        pairs: dict[str, list[tuple[Reached, Reached]]] = {}
        for name in names:
            both = [(table[row.name, name, seed], table[MODERN, name, seed]) for seed in seeds]
            done = [(here, there) for here, there in both if here and there]
            if done:
                pairs[name] = done
        return cls(row, pairs)

    def saved(self, split: str) -> list[float]:
        """By how much the part lowers the error: for each seed, the mean over the sets."""
        sign = 1 if self.row.taken_away else -1
        count = min(len(done) for done in self.pairs.values())
        return [
            mean(
                sign * (getattr(here, split) - getattr(there, split))
                for here, there in (done[seed] for done in self.pairs.values())
            )
            for seed in range(count)
        ]

    @property
    def seconds(self) -> float:
        """Of what has the part, mean over sets and seeds."""
        which = 1 if self.row.taken_away else 0
        return mean(pair[which].seconds for done in self.pairs.values() for pair in done)

    @property
    def saved_a_second(self) -> float:
        """What the table is sorted by."""
        return mean(self.saved("test")) / self.seconds

    def line(self, names: Sequence[str]) -> str:
        """Of the Markdown table: test errors of each set, then what the part saves."""
        errors = [
            spread([here.test for here, _ in self.pairs[name]]) if name in self.pairs else "-"
            for name in names
        ]
        what = f"{'without' if self.row.taken_away else 'with'} {self.row.name}"
        saved = [spread(self.saved(split), sign="+") for split in ("valid", "test")]
        if self.row.name in (MODERN, BASELINE):
            what = self.row.name
        if self.row.name == MODERN:
            saved = ["", ""]
        return f"| {' | '.join([what, *errors, *saved])} | {self.seconds:.0f} |"


if __name__ == "__main__":
    run_command(main, Settings)
