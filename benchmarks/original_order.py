"""Softmax, multi-loss, no augmentation: does the order of the original table come out again?

    python benchmarks/original_order.py --source PHOTOS --output runs/order --weights FILE

On 100 breeds of dogs the recipe's source reports errors of 0.2235 for the softmax, 0.211 for
multi-loss and 0.2045 after retraining without augmentation. Here both models are trained by
`--recipe original`, on photographs of many classes, where a plain batch of 32 holds few positive
pairs, and the settings that the verification loss may depend on are changed one after the other:
batches, weights, learning rates. A softmax stands beside every multi-loss run that differs from it
in nothing but the second loss; both begin from the same split and seed. All is looked at on test
images, so a setting that does well here is a finding about the loss and no tuned result.

It runs the commands a user would type, as processes of their own. Stopped, the same command goes
on; seeds and settings may be added to later, and a table is made of what is finished.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval
from side_by_side.commands import AtOnce, call, side_by_side
from side_by_side.data_sets import make_data_set
from side_by_side.spread import spread

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import ImageSize, Seed, Share, StageEpochs, Views
from finegrain.whole_files import written_whole

UNFROZEN, RETRAINED = "2-unfrozen", "3-retrained"
SINGLE, MULTI = "single_model.py", "froze_fine_tune.py"
COLUMNS = ("softmax", "multi-loss", "multi-loss saves")
PAIRED = {"images_per_class": 4}
STRONG = {"same_class_weight": 1.0, "positive_rate": 0.5}
FAST = {"unfrozen_learning_rate": 1e-3}


@dataclass(frozen=True)
class Setting:
    """A softmax and a multi-loss run that differ in the second loss alone.

    Attributes:
        both: flags of both, beside the recipe's own.
        second: of the second loss.
    """

    name: str
    both: dict[str, Any] = field(default_factory=dict)
    second: dict[str, Any] = field(default_factory=dict)

    @property
    def flags(self) -> dict[str, dict[str, Any]]:
        """Training script -> its flags."""
        return {SINGLE: self.both, MULTI: {**self.both, **self.second}}


ALL_SETTINGS = (
    Setting("as described: batches of 32"),
    Setting("weight 1, every second batch positive", {}, STRONG),
    Setting("8 classes of 4 images a batch", PAIRED),
    Setting("8 classes of 4, weight 1, every second batch positive", PAIRED, STRONG),
    Setting("batches of 64", {"batch_size": 64}),
    Setting("rate 1e-3, not 1e-4", FAST),
    Setting("rate 1e-3, 8 classes of 4, weight 1, every second positive", FAST | PAIRED, STRONG),
)


@dataclass
class Settings:
    """Train softmax and multi-loss by the original recipe, in several settings, over seeds."""

    # folder of labelled photographs, any layout that img2keras.py knows
    source: Path
    # folder for data sets, runs and the table
    output: Path
    # backbone and weights, as for single_model.py
    backbone: str = "mobilenet_v2"
    weights: str = "imagenet"
    image_size: ImageSize = 224
    # stored views an image in both stages, so that a run takes minutes
    views: Views = 4
    # at most so many epochs of each stage; a plateau ends it before
    frozen_epochs: StageEpochs = 30
    unfrozen_epochs: StageEpochs = 30
    retrained_epochs: StageEpochs = 10
    seeds: tuple[Seed, ...] = (0, 1, 2)
    # shares of the photographs that choices are made on, and that none is made on
    valid_fraction: Share = 0.1
    test_fraction: Share = 0.3
    # only the first so many settings of the table
    first: Annotated[int, Interval(ge=1, le=len(ALL_SETTINGS))] = len(ALL_SETTINGS)
    # so many trainings at a time, each of one thread; of small networks two get more done than one
    at_once: AtOnce = 1
    # write the table of what is finished and train nothing
    train: bool = True


def main(settings: Settings) -> None:
    if not settings.source.is_dir():
        raise UserError(f"there is no folder {settings.source}; name one with photographs")
    chosen = ALL_SETTINGS[: settings.first]
    if settings.train:
        for seed in settings.seeds:
            fractions = settings.valid_fraction, settings.test_fraction
            make_data_set(settings.source, place(settings, seed) / "data", seed, *fractions)
        # A setting is whole in all seeds before the next begins; runs of a seed share its stores.
        for setting in chosen:
            jobs = (partial(train_both, settings, setting, seed) for seed in settings.seeds)
            side_by_side(jobs, settings.at_once)
    table = order_table(settings, chosen)
    with written_whole(settings.output / "table.md") as file:
        file.write_text(table, encoding="utf-8")
    print(table)


def place(settings: Settings, seed: int) -> Path:
    """The folder of a seed's data set and runs."""
    return settings.output / f"seed-{seed}"


def run_folder(settings: Settings, seed: int, script: str, flags: dict[str, Any]) -> Path:
    """Where a training stands; settings that share it train it once."""
    words = [Path(script).stem, *(f"{key}-{value}" for key, value in flags.items())]
    return place(settings, seed) / "-".join(words)


def train_both(settings: Settings, setting: Setting, seed: int) -> None:
    """Train a setting's two models on the data set of a seed, and retrain them."""
    for script, flags in setting.flags.items():
        run = run_folder(settings, seed, script, flags)
        # What is finished needs no process to say so.
        if RETRAINED in errors_of(run):
            continue
        shared = {
            "recipe": "original",
            "data": place(settings, seed) / "data",
            "backbone": settings.backbone,
            "weights": settings.weights,
            "image_size": settings.image_size,
            "views": settings.views,
            "unfrozen_views": settings.views,
            "frozen_epochs": settings.frozen_epochs,
            "unfrozen_epochs": settings.unfrozen_epochs,
        }
        alone = settings.at_once == 1
        call(script, is_alone=alone, run=run, seed=seed, **(shared | flags))
        call("trick_tune.py", is_alone=alone, run=run, epochs=settings.retrained_epochs)


def results_of(run: Path) -> dict[str, Any]:
    """`results.json` of a run; empty where there is none yet."""
    file = run / "results.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def errors_of(run: Path) -> dict[str, float]:
    """Stage -> test error, of the stages that are finished."""
    stages = results_of(run).get("stages", {})
    return {name: numbers["test_error"] for name, numbers in stages.items()}


def order_table(settings: Settings, chosen: Sequence[Setting]) -> str:
    """Test errors of every setting that is finished for some seed, as a Markdown table."""
    titles = ["setting", *COLUMNS, *(f"{column}, retrained" for column in COLUMNS)]
    lines = [f"| {' | '.join(titles)} |", "|---|---|---|---|---|---|---|"]
    baselines = []
    for setting in chosen:
        columns: dict[tuple[str, str], list[float]] = {}
        for seed in settings.seeds:
            runs = [run_folder(settings, seed, *each) for each in setting.flags.items()]
            errors = [errors_of(run) for run in runs]
            if not all(RETRAINED in each for each in errors):
                continue
            if setting is chosen[0]:
                baselines.append(results_of(runs[0]).get("baseline", {}).get("test_error"))
            for stage in (UNFROZEN, RETRAINED):
                single, multi = (each[stage] for each in errors)
                found = {SINGLE: single, MULTI: multi, "saves": single - multi}
                for name, value in found.items():
                    columns.setdefault((stage, name), []).append(value)
        if columns:
            cells = [spread(v, "+" if name == "saves" else "") for (_, name), v in columns.items()]
            lines.append(f"| {' | '.join([setting.name, *cells])} |")
    known = [error for error in baselines if error is not None]
    if known:
        lines += ["", f"Logistic regression on frozen embeddings, same splits: {spread(known)}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_command(main, Settings)
