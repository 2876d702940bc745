"""A contest out of labelled photographs: the labels of a part are hidden from who takes part."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from finegrain.datasets.manifest import open_data_set
from finegrain.leaderboard.contest import find_metric
from side_by_side.data_sets import make_data_set


def make_contest(source: Path, folder: Path, seed: int, test_fraction: float) -> dict[str, str]:
    """Labelled `photos/` and numbered `test/` images in a folder; number -> class of these.

    A source with an official split keeps it.
    """
    make_data_set(source, folder / "data", seed, 0.1, test_fraction)
    data = open_data_set(folder / "data")
    for split in ("train", "valid"):
        for path in data.paths(split):
            _place(path, folder / "photos" / path.parent.name / path.name)
    right = {}
    for number, path in enumerate(data.paths("test")):
        _place(path, folder / "test" / f"{number}{path.suffix}")
        right[str(number)] = path.parent.name
    return right


def _place(path: Path, target: Path) -> None:
    """Hard-link a photograph, unless it stands there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.link(path.resolve(), target)


def read_probabilities(submission: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Ids, classes and (T, C) probabilities of a submission of that format."""
    with submission.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return [row[0] for row in rows], header[1:], np.array([row[1:] for row in rows], np.float32)


def true_score(
    metric: str, ids: list[str], classes: list[str], answers: np.ndarray, right: Mapping[str, str]
) -> float:
    """The score of probabilities (T, C), by the hidden labels."""
    labels = np.array([classes.index(right[name]) for name in ids])
    found = find_metric(metric)
    return found.score(found.loss(answers, labels))
