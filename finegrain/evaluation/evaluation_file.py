"""`evaluation.json`: the measures of a model, with intervals, beside its run or where asked for."""

import json
from pathlib import Path
from typing import Any

from pydantic import FiniteFloat, InstanceOf, model_validator

from finegrain.errors import UserError
from finegrain.flags import CountOrZero, Probability
from finegrain.records import Record, Typed, read_record, stamped
from finegrain.whole_files import written_whole

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
    content = json.dumps(stamped(evaluation), ensure_ascii=False, indent=1, allow_nan=False)
    with written_whole(path) as file:
        file.write_text(content, encoding="utf-8", errors="surrogateescape")


def read_evaluation(path: Path) -> dict[str, Any]:
    """The measures; see `evaluate` for what they are.

    Raises:
        UserError: no such file, damaged, or written by a newer version.
    """
    if not path.is_file():
        raise UserError(f"there is no {path}; make it with tools/evaluate.py")
    mend = "make it again with tools/evaluate.py"
    return read_record(path, Evaluation, mend, errors="surrogateescape").content
