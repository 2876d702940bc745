"""What a search leaves on disk, whole at any moment: submission, expected score, model and page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from finegrain.evaluation.metrics import calibrated_clip, clipped
from finegrain.evaluation.temperature import SMALLEST
from finegrain.leaderboard.contest import Metric, Score, measured
from finegrain.leaderboard.ensemble import Ensemble
from finegrain.leaderboard.search import Search
from finegrain.submission.class_probabilities import ClassProbabilities
from finegrain.submission.submission import (
    SampleSubmission,
    SubmissionFormat,
    write_submission,
)
from finegrain.whole_files import written_whole

SUMMARY = "leaderboard.json"
SUBMISSIONS = {
    "baidu": "submission.txt",
    "kaggle-label": "submission.csv",
    "probabilities": "submission.csv",
}


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Probabilities of an ensemble, made as sure as they may be.

    Attributes:
        held_out: (E, C).
        test: (T, C).
    """

    held_out: np.ndarray
    test: np.ndarray


def calibrated(search: Search, ensemble: Ensemble) -> Calibrated:
    """The answers of an ensemble, clipped as suits its answers out of fold.

    How sure they are is fitted there too, by a power of the probabilities: Guo et al. 2017, arXiv
    1706.04599, section 4.2, with the logarithm of a mean of probabilities in place of logits.
    """
    labels, answers = search.partition.labels, ensemble.mean("out_of_fold")
    power = _best_power(answers, labels)
    clip, _ = calibrated_clip(_sharpened(answers, power), labels)
    held_out, test = (
        clipped(_sharpened(ensemble.mean(of), power), clip) for of in ("held_out", "test")
    )
    return Calibrated(held_out, test)


def _sharpened(probabilities: np.ndarray, power: float) -> np.ndarray:
    raised = np.maximum(probabilities.astype(np.float64), 1e-12) ** power
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def _best_power(probabilities: np.ndarray, labels: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar

    from finegrain.evaluation.metrics import log_loss

    found = minimize_scalar(
        lambda log_power: log_loss(_sharpened(probabilities, float(np.exp(log_power))), labels),
        bounds=(np.log(SMALLEST), -np.log(SMALLEST)),
        method="bounded",
    )
    return float(np.exp(found.x))


@dataclass(frozen=True)
class Outcome:
    """Where the outcome of a search goes, and how a leaderboard wants it.

    Attributes:
        folder: of everything.
        category_ids: what a leaderboard calls the classes, in index order; None for their names.
        prior: (C,) answer for an image that cannot be decoded.
    """

    folder: Path
    metric: Metric
    format: SubmissionFormat
    sample: SampleSubmission | None
    category_ids: Sequence[str] | None
    prior: np.ndarray

    def write(self, search: Search, ensemble: Ensemble) -> Score:
        """Write the submission and what to expect of it; that score."""
        found = calibrated(search, ensemble)
        expected = measured(
            self.metric,
            found.held_out,
            search.partition.held_out_labels,
            len(search.partition.test),
        )
        if search.partition.test or search.lost:
            self._write_submission(search, found.test)
        summary = {
            "metric": self.metric.title,
            "expected": expected.value,
            "interval": [expected.low, expected.high],
            "held_out_images": len(search.partition.held_out),
            "minutes": search.clock.passed() / 60,
            "candidates": len(search.finished),
            "ensemble": {
                member.candidate.name: weight
                for member, weight in zip(ensemble.members, ensemble.weights, strict=True)
            },
        }
        with written_whole(self.folder / SUMMARY) as file:
            file.write_text(json.dumps(summary, indent=1, ensure_ascii=False), encoding="utf-8")
        print(f"  best so far: {self.metric.title} {expected} is to be expected", flush=True)
        return expected

    def submission(self) -> Path:
        """Its file."""
        return self.folder / SUBMISSIONS[self.format]

    def _write_submission(self, search: Search, test: np.ndarray) -> None:
        rows = np.concatenate([test, np.tile(self.prior, (len(search.lost), 1))]).astype(np.float32)
        classes = search.partition.classes
        table = ClassProbabilities([*search.partition.test, *search.lost], classes, rows)
        clip: tuple[float, float] | None = (0.0, 1.0)
        if self.category_ids is not None:
            table, clip = replace(table, classes=list(self.category_ids)), None
        write_submission(table, self.submission(), self.format, self.sample, clip)
