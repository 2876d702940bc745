"""`evaluation.json`: the measures of a model, with intervals, in a file and on the terminal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import FiniteFloat, InstanceOf, model_validator

from finegrain.errors import UserError
from finegrain.evaluation.measures import MEASURES
from finegrain.flags import CountOrZero, Probability
from finegrain.records import Record, Typed, read_record, write_record

EVALUATION = "evaluation.json"
# Tells of images by their names, which may be no UTF-8.
Sentence = InstanceOf[str]


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


def write_evaluation(path: Path, evaluation: dict[str, Any]) -> None:
    """Write the measures, replacing a file of the same name."""
    # A number that is not finite would make it unreadable for other readers of JSON.
    write_record(path, evaluation, "surrogateescape", ensure_ascii=False, allow_nan=False)


def read_evaluation(path: Path) -> dict[str, Any]:
    """The measures; see `evaluate_split` for what they are.

    Raises:
        UserError: no such file, damaged, or written by a newer version.
    """
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
