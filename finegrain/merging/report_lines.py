"""The tables of a merged classifier: what each backbone adds, and what is taken for what."""

from collections.abc import Sequence

import numpy as np

from finegrain.evaluation.metrics import clipped, log_loss
from finegrain.merging.answers import Answers

# More classes do not fit a terminal's width as a table.
MOST_CLASSES_IN_TABLE = 12
MOST_PAIRS = 15
TEST_COLUMNS = ("test log loss", "test error")


def subsets(names: Sequence[str]) -> dict[str, list[str]]:
    """What the leave-one-out table compares with all: each backbone alone, and all but each.

    Args:
        names: all backbones.

    Returns:
        Label -> backbones; empty for a single one.
    """
    if len(names) < 2:
        return {}
    compared = {f"{name} alone": [name] for name in names}
    if len(names) > 2:
        compared |= {
            f"without {name}": [other for other in names if other != name] for name in names
        }
    return compared


def comparison_lines(rows: Sequence[tuple[str, Answers, Answers | None, str]]) -> list[str]:
    """A line for each classifier; the first is the one that the others are compared with.

    Args:
        rows: (label, answers for the validation photographs, those for the labelled test
            photographs if there are any, what was chosen).
    """
    width = max(len(label) for label, *_ in rows)
    whole = rows[0][1].log_loss
    tested = "".join(f"  {name}" for name in TEST_COLUMNS) if rows[0][2] else ""
    lines = [f"{'validation':<{width}}  log loss  against all  top-1 error{tested}  chosen"]
    for number, (label, answers, test, chosen) in enumerate(rows):
        against = f"{answers.log_loss - whole:+.4f}" if number else ""
        numbers = (test.log_loss, test.top1_error) if test else ()
        tested = "".join(
            f"  {value:>{len(name)}.4f}" for name, value in zip(TEST_COLUMNS, numbers, strict=False)
        )
        lines.append(
            f"{label:<{width}}  {answers.log_loss:>8.4f}  {against:>11}  "
            f"{answers.top1_error:>11.4f}{tested}  {chosen}"
        )
    return lines


def score_line(answers: Answers, clip: float) -> str:
    """Log loss with and without the clip, and top-1 error."""
    with_clip = log_loss(clipped(answers.probabilities, clip), answers.labels)
    return (
        f"log loss {answers.log_loss:.4f} ({with_clip:.4f} clipped at {clip:g}), top-1 error "
        f"{answers.top1_error:.4f}, {len(answers.labels)} photographs"
    )


def confusion(answers: Answers) -> np.ndarray:
    """(C,C) int64: row i, column j counts photographs of class i that were taken for j."""
    classes = answers.probabilities.shape[1]
    taken = answers.probabilities.argmax(axis=1)
    counts = np.bincount(answers.labels * classes + taken, minlength=classes * classes)
    return counts.reshape(classes, classes)


def confusion_lines(answers: Answers, classes: Sequence[str]) -> list[str]:
    """The confusion table; of many classes the pairs that are confused most.

    Args:
        answers: for labelled photographs.
        classes: their names in index order.
    """
    counts = confusion(answers)
    if len(classes) > MOST_CLASSES_IN_TABLE:
        return _pair_lines(counts, classes)
    names = [name[:14] for name in classes]
    wide = max(len(name) for name in names)
    columns = [max(len(name), 5) for name in names]
    head = "  ".join(f"{name:>{size}}" for name, size in zip(names, columns, strict=True))
    lines = [f"{'is, taken for':<{max(wide, 13)}}  {head}"]
    for name, row in zip(names, counts, strict=True):
        numbers = "  ".join(f"{count:>{size}}" for count, size in zip(row, columns, strict=True))
        lines.append(f"{name:<{max(wide, 13)}}  {numbers}")
    return lines


def _pair_lines(counts: np.ndarray, classes: Sequence[str]) -> list[str]:
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [divmod(int(place), len(classes)) for place in order]
    lines = [
        f"{wrong[true, taken]:>5} of {counts[true].sum()} {classes[true]}, "
        f"taken for {classes[taken]}"
        for true, taken in pairs
        if wrong[true, taken]
    ]
    more = int((wrong > 0).sum()) - len(lines)
    if more > 0:
        lines.append(f"      and {more} more pairs of classes")
    return lines or ["nothing was confused"]
