"""The lines of a submission file, one function a format."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import numpy as np

from finegrain.submission.class_probabilities import ClassProbabilities

SubmissionFormat = Literal["baidu", "kaggle-label", "probabilities"]

# A sure answer that is wrong costs the log loss without bound; this caps its price.
KAGGLE_CLIP = (0.005, 0.995)


def baidu_lines(table: ClassProbabilities, header: Sequence[str] | None = None) -> Iterator[str]:
    """`label<TAB>id`, the most probable class of each image; this format has no header."""
    for image_id, label in zip(table.ids, table.most_probable(), strict=True):
        yield f"{label}\t{image_id}\n"


def kaggle_label_lines(
    table: ClassProbabilities,
    header: Sequence[str] | None = None,
    clip: tuple[float, float] = KAGGLE_CLIP,
) -> Iterator[str]:
    """`id,label`: the name of the most probable class.

    Where there are two classes, as in cats against dogs, the label is the probability of the
    second one, clipped.

    Args:
        table: the answers.
        header: the two column names, where they are not `id` and `label`.
        clip: smallest and largest probability.
    """
    if len(table.classes) != 2:
        yield from label_lines(table, header)
        return
    yield _csv_line(header or ["id", "label"])
    lowest, highest = np.asarray(clip, np.float32)
    second = np.clip(table.probabilities[:, 1], lowest, highest).astype(str)
    for row in zip(table.ids, second, strict=True):
        yield _csv_line(row)


def label_lines(table: ClassProbabilities, header: Sequence[str] | None = None) -> Iterator[str]:
    """`id,label`: the name of the most probable class, however many there are.

    Args:
        table: the answers.
        header: the two column names, where they are not `id` and `label`.
    """
    yield _csv_line(header or ["id", "label"])
    for row in zip(table.ids, table.most_probable(), strict=True):
        yield _csv_line(row)


def probability_lines(
    table: ClassProbabilities, header: Sequence[str] | None = None
) -> Iterator[str]:
    """`id,<class>,...`: the probability of each class, in the shortest digits that keep it.

    Args:
        table: the answers.
        header: the id's column name, then the classes in the order wanted.
    """
    if header is not None:
        table = table.with_classes(header[1:])
    yield _csv_line(header or ["id", *table.classes])
    for image_id, row in zip(table.ids, table.probabilities, strict=True):
        yield _csv_line([image_id, *row.astype(str)])


def _csv_line(fields: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()


LINES_OF_FORMAT: dict[
    SubmissionFormat, Callable[[ClassProbabilities, Sequence[str] | None], Iterator[str]]
] = {
    "baidu": baidu_lines,
    "kaggle-label": kaggle_label_lines,
    "probabilities": probability_lines,
}
