"""How often the score that leaderboard.py expects holds: splits, each scored by its test labels.

    python benchmarks/leaderboard_intervals.py --source PHOTOS --output runs/intervals \\
        --weights mobilenet_v2=FILE

Each split hides the labels of a part of the photographs in a folder of test images, searches with
what is left, and compares what was expected with the score on the hidden part. Stopped, the same
command goes on; splits may be added to later.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from side_by_side.commands import call
from side_by_side.contest import make_contest, read_probabilities, true_score

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import Count, CountOrZero, ProperShare
from finegrain.leaderboard.contest import MetricName
from finegrain.whole_files import written_whole

HEADER = "| split | expected | interval | true | within |\n|---|---|---|---|---|"


@dataclass
class Settings:
    """Compare expected scores with true ones over many splits."""

    # folder of labelled photographs, any layout that img2keras.py knows
    source: Path
    # folder for data sets, searches and the table
    output: Path
    # weights of backbones, as for leaderboard.py
    weights: tuple[str, ...]
    splits: Count = 10
    # candidates that each search trains; 0 leaves it at logistic regression
    trials: CountOrZero = 0
    metric: MetricName = "top1"
    test_fraction: ProperShare = 0.3


def main(settings: Settings) -> None:
    if not settings.source.is_dir():
        raise UserError(f"there is no folder {settings.source}; name one with photographs")
    rows = [one_split(settings, seed) for seed in range(settings.splits)]
    within = sum(row["within"] for row in rows)
    lines = [HEADER, *(line(seed, row) for seed, row in enumerate(rows))]
    lines.append(f"\n{within} of {len(rows)} true scores lie within their interval.")
    table = "\n".join(lines) + "\n"
    with written_whole(settings.output / "table.md") as file:
        file.write_text(table, encoding="utf-8")
    print(table)


def one_split(settings: Settings, seed: int) -> dict:
    """What was expected on one split, and what came out."""
    folder = settings.output / f"split-{seed}"
    kept = folder / f"{settings.metric}-{settings.trials}.json"
    if not kept.is_file():
        right = make_contest(settings.source, folder, seed, settings.test_fraction)
        answer = folder / f"answer-{settings.metric}"
        call(
            "leaderboard.py",
            photos=folder / "photos",
            test=folder / "test",
            output=answer,
            trials=settings.trials,
            metric=settings.metric,
            weights=settings.weights,
            seed=seed,
        )
        answers = read_probabilities(answer / "submission.csv")
        true = true_score(settings.metric, *answers, right)
        summary = json.loads((answer / "leaderboard.json").read_text(encoding="utf-8"))
        low, high = summary["interval"]
        row = {
            "expected": summary["expected"],
            "low": low,
            "high": high,
            "true": true,
            "within": low <= true <= high,
        }
        with written_whole(kept) as file:
            file.write_text(json.dumps(row), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def line(seed: int, row: dict) -> str:
    """A row in Markdown."""
    return (
        f"| {seed} | {row['expected']:.4f} | {row['low']:.4f} to {row['high']:.4f} "
        f"| {row['true']:.4f} | {'yes' if row['within'] else '**no**'} |"
    )


if __name__ == "__main__":
    run_command(main, Settings)
