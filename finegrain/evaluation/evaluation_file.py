"""`evaluation.json`: what came of a model's look at labelled images, written, read and told."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import FiniteFloat, InstanceOf, model_validator

from finegrain.errors import UserError
from finegrain.evaluation.bootstrap import PERCENTILES, RESAMPLES
from finegrain.evaluation.embedding_measures import PairScore
from finegrain.evaluation.evaluate import evaluate_split
from finegrain.evaluation.labelled_images import TEST, VALID, Answered
from finegrain.evaluation.measures import MEASURES
from finegrain.flags import CountOrZero, Probability
from finegrain.inference.answer_views import PLAIN, AnswerViews
from finegrain.records import Record, Typed, read_record, write_record
from finegrain.regular_file import file_digest
from finegrain.runs.predictions import (
    COLUMNS,
    PREDICTIONS,
    read_sound_predictions,
    write_predictions,
)

EVALUATION = "evaluation.json"
# Tells of images by their names, which may be no UTF-8.
Sentence = InstanceOf[str]


@dataclass(frozen=True)
class About:
    """What is judged, for evaluation.json: a run's model and a folder of images."""

    run: Path | str  # the names of several that are averaged
    model_from: str | None  # the stage that model.keras is from
    temperature: float  # inside the model, 1 if none
    model_digest: str  # SHA-256 of model.keras; of each, with blanks between
    data: Path
    data_digest: str | None  # of the data set; None for a folder that is none
    views: AnswerViews = PLAIN
    image_size: int | None = None  # side in pixels, where not the run's own


def write_answers(
    folder: Path,
    answered: Sequence[Answered],
    classes: list[str],
    same_class: PairScore | None,
    about: About,
) -> dict[str, Any]:
    """Write predictions.csv, and evaluation.json from it and the embeddings; gives what that holds.

    There `missing` is split -> why it is not there; each of `splits` comes from `evaluate_split`.
    """
    path = folder / PREDICTIONS
    tables = [split.rows(classes) for split in answered]
    write_predictions(path, pd.concat(tables) if tables else pd.DataFrame(columns=COLUMNS))
    rows, _ = read_sound_predictions(path)
    splits = {}
    for each in answered:
        split = each.images.split
        of_split = rows[rows["split"] == split].reset_index(drop=True)
        splits[split] = evaluate_split(of_split, classes, each, same_class)
    evaluation = {
        "run": str(about.run),
        "model_from": about.model_from,
        "temperature": about.temperature,
        "data": str(about.data),
        **({} if about.views.is_plain else {"views": asdict(about.views)}),
        **({} if about.image_size is None else {"image_size": about.image_size}),
        "digests": {
            "model": about.model_digest,
            "predictions": file_digest(path),
            "data": about.data_digest,
        },
        "bootstrap": {"resamples": RESAMPLES, "percentiles": list(PERCENTILES)},
        "missing": _missing(splits),
        "splits": splits,
    }
    write_evaluation(folder / EVALUATION, evaluation)
    return evaluation


def _missing(splits: dict[str, Any]) -> dict[str, str]:
    if splits:
        # Of a data set without validation images; a labelled folder has but one part.
        held_out = TEST in splits and VALID not in splits
        return {VALID: "the data set has no validation images"} if held_out else {}
    return {VALID: "the data set has no validation images, and no test images either"}


def write_evaluation(path: Path, evaluation: dict[str, Any]) -> None:
    """Write evaluation.json, replacing an earlier one."""
    # A number that is not finite would make it unreadable for other readers of JSON.
    write_record(path, evaluation, "surrogateescape", ensure_ascii=False, allow_nan=False)


class Measured(Typed):
    """A measure with its interval, where one can be given."""

    value: FiniteFloat
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None


class Bin(Typed):
    """The answers of a bin of the reliability diagram; none of an empty one."""

    low: Probability
    high: Probability
    count: CountOrZero
    confidence: Probability | None
    accuracy: Probability | None

    @model_validator(mode="after")
    def _tells_of_its_answers(self) -> "Bin":
        if self.count and (self.confidence is None or self.accuracy is None):
            raise ValueError("a bin with answers has neither confidence nor accuracy")
        return self


class SplitMeasures(Typed):
    """What `evaluate_split` found; None for a measure that cannot be taken."""

    images: CountOrZero
    measures: dict[str, Measured | None]
    missing: dict[str, Sentence] = {}
    notes: list[Sentence] = []
    reliability: list[Bin] | None = None


class Evaluation(Record):
    """The content of `evaluation.json`."""

    splits: dict[str, SplitMeasures]
    missing: dict[str, Sentence] = {}


def read_evaluation(path: Path) -> dict[str, Any]:
    """The measures; UserError for a file that is not there, damaged, or of a newer version."""
    if not path.is_file():
        raise UserError(f"there is no {path}; make it with tools/evaluate.py")
    mend = "make it again with tools/evaluate.py"
    return read_record(path, Evaluation, mend, errors="surrogateescape").content


def measure_lines(evaluation: dict[str, Any]) -> Iterator[str]:
    """What evaluation.json holds as lines: a measure with its interval, or why it is missing."""
    for split, reason in evaluation["missing"].items():
        yield f"no {split}: {reason}"
    for split, found in evaluation["splits"].items():
        yield f"{split}: {found['images']} images"
        for name, measure in MEASURES.items():
            taken = found["measures"][name]
            if taken is None:
                yield f"  {measure.title:<48} -  ({found['missing'][name]})"
                continue
            interval = ""
            if taken["low"] is not None:
                interval = f"  ({taken['low']:.4f} to {taken['high']:.4f})"
            yield f"  {measure.title:<48} {taken['value']:.4f}{interval}"
        for note in found["notes"]:
            yield f"  note: {note}"
