"""What merging embeddings brings: each backbone alone and all merged, over several seeds.

    python benchmarks/merged_results.py --source PHOTOS --output runs/merged-pets \\
        --backbones mobilenet_v2,inception_v3 --weights mobilenet_v2=FILE

For each seed it makes a data set with a split of its own (so the test images differ too), exports
its embeddings with export_features.py, trains classifiers on them with merge_features.py, and
prints log loss and top-1 error on the validation and the test images as means, with the range of
the test errors. It runs the commands a user would type and shows them. Stopped, the same command
goes on; the table stands in table.md.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from side_by_side.child import run_script
from side_by_side.commands import command

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import ImageSize, ProperShare, Seed, Share
from finegrain.whole_files import written_whole


@dataclass
class Settings:
    """Measure merged embeddings over several seeds."""

    # labelled photographs, any layout that img2keras.py knows
    source: Path
    # folder for data sets, features and the table
    output: Path
    # as for export_features.py
    backbones: str
    weights: tuple[str, ...] = ("imagenet",)
    # side of the input in pixels, by default each backbone's own
    image_size: ImageSize | None = None
    # classifiers to train, as for merge_features.py
    classifiers: tuple[str, ...] = ("dense", "logistic")
    # what is done to the embeddings for each of those
    normalise: tuple[str, ...] = ("none", "standardise")
    # shares of the photographs
    valid_fraction: ProperShare = 0.2
    test_fraction: Share = 0.3
    seeds: tuple[Seed, ...] = (0, 1, 2)


def main(settings: Settings) -> None:
    if not settings.source.exists():
        raise UserError(f"there is no {settings.source}; name photographs or a JSON of them")
    if len(settings.normalise) != len(settings.classifiers):
        raise UserError("--normalise must name one for each of --classifiers")
    for seed in settings.seeds:
        measure(settings, seed)
    table = results_table(settings)
    with written_whole(settings.output / "table.md") as beside:
        beside.write_text(table, encoding="utf-8")
    print(table)


def measure(settings: Settings, seed: int) -> None:
    """Data set, embeddings and classifiers of a seed, as far as they are not there."""
    data, features = settings.output / f"data-{seed}", settings.output / f"features-{seed}"
    log = settings.output / "log.txt"
    if all(scores_file(settings, name, seed).exists() for name in settings.classifiers):
        return
    call(
        log,
        "img2keras.py",
        source=settings.source,
        output=data,
        seed=seed,
        valid_fraction=settings.valid_fraction,
        test_fraction=settings.test_fraction,
    )
    call(
        log,
        "recipes/export_features.py",
        data=data,
        output=features,
        backbones=settings.backbones,
        weights=settings.weights,
        image_size=settings.image_size,
    )
    for classifier, how in zip(settings.classifiers, settings.normalise, strict=True):
        call(
            log,
            "recipes/merge_features.py",
            features=sorted(features.glob("*.h5")),
            classifier=classifier,
            normalise=how,
            seed=seed,
            scores=scores_file(settings, classifier, seed),
        )


def scores_file(settings: Settings, classifier: str, seed: int) -> Path:
    """What merge_features.py wrote for a seed."""
    return settings.output / f"scores-{classifier}-{seed}.json"


def call(log: Path, script: str, **flags: Any) -> None:
    """Run a script of the project, showing the command."""
    run_script(command(script, **flags), log)


def results_table(settings: Settings) -> str:
    """The scores of all seeds as a Markdown table."""
    lines = [
        (
            "| classifier | embeddings | validation log loss | validation error | test log loss | "
            "test error | range | seconds |"
        ),
        "|---|---|---|---|---|---|---|---|",
    ]
    for classifier in settings.classifiers:
        seeds = [
            json.loads(scores_file(settings, classifier, seed).read_text(encoding="utf-8"))
            for seed in settings.seeds
        ]
        for label in seeds[0]:
            lines.append(f"| {classifier} | {label} | {line([seed[label] for seed in seeds])} |")
    return "\n".join(lines) + "\n"


def line(scores: Sequence[dict]) -> str:
    """Means over the seeds, and the range of the test errors."""
    means = [
        mean([score[split][name] for score in scores])
        for split in ("valid", "test")
        for name in ("log_loss", "top1_error")
    ]
    errors = [score["test"]["top1_error"] for score in scores]
    return (
        " | ".join(f"{value:.4f}" for value in means)
        + f" | {min(errors):.4f} to {max(errors):.4f} | {mean([s['seconds'] for s in scores]):.1f}"
    )


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)


if __name__ == "__main__":
    run_command(main, Settings)
