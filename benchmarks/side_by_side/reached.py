"""What runs of a benchmark reached, read from their folders."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS, EVALUATION = "results.json", "evaluation.json"
# What a folder of answers gets last.
SECONDS = "seconds.txt"
# The run that answers are asked of, beside their folders.
MODERN_FOLDER = "modern"


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
        own = seconds_of(run.parent / MODERN_FOLDER) + float((run / SECONDS).read_text())
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
