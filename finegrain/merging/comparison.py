"""Train on all backbones and on parts of them: what does each add?"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from finegrain.merging.answers import Answers, answer
from finegrain.merging.split import MergeSplit
from finegrain.merging.training import Merged, MergedTraining, train_merged
from finegrain.models.merged import Branch
from finegrain.whole_files import written_whole

TEST_COLUMNS = ("test log loss", "test error")


@dataclass(frozen=True)
class Compared:
    """One line of the comparison: which backbones, in words, and the classifier trained on them.

    `test` are its answers for the labelled test photographs, None where there are none.
    """

    label: str
    merged: Merged
    test: Answers | None
    seconds: float


def compare(
    split: MergeSplit, taken: Mapping[str, Branch], training: MergedTraining, leave_one_out: bool
) -> list[Compared]:
    """Train on all branches, then on fewer to leave one out, and print a table of them."""
    names = list(taken)
    label = f"all {len(names)} merged" if len(names) > 1 else names[0]
    rows = [_compared(label, split, taken, training)]
    print(f"trained in {rows[0].seconds:.1f} s ({training.classifier})\n", flush=True)
    for label, fewer in (_fewer(names) if leave_one_out else {}).items():
        rows.append(_compared(label, split, {name: taken[name] for name in fewer}, training))
    print("\n".join(_lines(rows)) + "\n", flush=True)
    return rows


def write_scores(path: Path, rows: Sequence[Compared], clip: float) -> None:
    """Write the comparison as JSON: label -> `valid` and `test` -> scores; and `seconds`."""
    scores = {}
    for row in rows:
        splits = {"valid": row.merged.valid, "test": row.test}
        scores[row.label] = {
            "seconds": round(row.seconds, 2),
            "chosen": row.merged.chosen,
            **{name: _scores(answers, clip) for name, answers in splits.items() if answers},
        }
    with written_whole(path) as beside:
        beside.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


def _compared(
    label: str, split: MergeSplit, taken: Mapping[str, Branch], training: MergedTraining
) -> Compared:
    started = time.monotonic()
    merged = train_merged(split, taken, training)
    seconds = time.monotonic() - started
    test = None
    if split.test is not None:
        classes = len(split.train.joined.classes)
        test = answer(merged.model, split.test, merged.names, classes)
    return Compared(label, merged, test, seconds)


def _fewer(names: Sequence[str]) -> dict[str, list[str]]:
    """Label -> backbones: each alone, and all but each."""
    alone = {f"{name} alone": [name] for name in names}
    without = {f"without {name}": [other for other in names if other != name] for name in names}
    return {**alone, **without} if len(names) > 2 else alone if len(names) > 1 else {}


def _lines(rows: Sequence[Compared]) -> list[str]:
    """A line for each classifier; the others are compared with the first."""
    width = max(len(row.label) for row in rows)
    whole = rows[0].merged.valid.log_loss
    tested = "".join(f"  {name}" for name in TEST_COLUMNS) if rows[0].test else ""
    lines = [f"{'validation':<{width}}  log loss  against all  top-1 error{tested}  chosen"]
    for number, row in enumerate(rows):
        valid, test = row.merged.valid, row.test
        against = f"{valid.log_loss - whole:+.4f}" if number else ""
        numbers = (test.log_loss, test.top1_error) if test else ()
        tested = "".join(
            f"  {value:>{len(name)}.4f}" for name, value in zip(TEST_COLUMNS, numbers, strict=False)
        )
        lines.append(
            f"{row.label:<{width}}  {valid.log_loss:>8.4f}  {against:>11}  "
            f"{valid.top1_error:>11.4f}{tested}  {row.merged.chosen}"
        )
    return lines


def _scores(answers: Answers, clip: float) -> dict[str, float | int]:
    return {
        "photographs": len(answers.labels),
        "log_loss": answers.log_loss,
        "clipped_log_loss": answers.clipped_log_loss(clip),
        "top1_error": answers.top1_error,
    }
