"""From a table of class probabilities to the file that a leaderboard takes."""

import csv
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from finegrain.errors import UserError
from finegrain.submission.class_probabilities import ClassProbabilities
from finegrain.submission.sample_submission import SampleSubmission
from finegrain.whole_files import written_whole

SubmissionFormat = Literal["baidu", "kaggle-label", "probabilities"]

# A sure answer that is wrong costs the log loss without bound; this caps its price.
KAGGLE_CLIP = (0.005, 0.995)


def write_submission(
    table: ClassProbabilities,
    output: Path,
    submission_format: SubmissionFormat = "baidu",
    sample: SampleSubmission | None = None,
    category_ids: bool = False,
    clip: tuple[float, float] = KAGGLE_CLIP,
) -> int:
    """Write a submission, replacing one of the same name.

    - `baidu`: `label<TAB>id`, no header.
    - `kaggle-label`: `id,label`; of two classes, as in cats against dogs, the probability of the
      second one, clipped; of more classes, or where they go by category ids, the most probable.
    - `probabilities`: `id,<class>,...`, one column a class, in the shortest digits that keep it.

    Args:
        table: the answers; rows that a sample does not ask for are left out.
        output: the file; its folder is made where it is missing.
        submission_format: one of the above.
        sample: gives header, ids, and their order; not for `baidu`.
        category_ids: the table's classes are a JSON's category ids, which leaderboards that
            came with a JSON want whole: of two classes one, too, and no probability.
        clip: smallest and largest probability that `kaggle-label` writes.

    Returns:
        The number of rows written.

    Raises:
        UserError: the sample does not fit the format, the classes or the images; an id or a
            class name that the format cannot carry; a file that cannot be written.
    """
    check_sample_fits(submission_format, sample, table.classes)
    header = None
    if sample is not None:
        table = table.with_ids(sample.image_ids(table.ids))
        table = ClassProbabilities(sample.ids, table.classes, table.probabilities)
        header = sample.header
    _refuse_control_characters(table, "\t\r\n" if submission_format == "baidu" else "\r\n")
    # Names of files are bytes to the system; what is no UTF-8 goes out as it came in.
    with (
        written_whole(output) as beside,
        beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        if submission_format == "baidu":
            labels = table.most_probable()
            file.writelines(f"{label}\t{of}\n" for of, label in zip(table.ids, labels, strict=True))
        else:
            if submission_format == "probabilities":
                rows = _probability_rows(table, header)
            else:
                rows = _label_rows(table, header, None if category_ids else clip)
            csv.writer(file, lineterminator="\n").writerows(rows)
    return len(table.ids)


def _label_rows(
    table: ClassProbabilities, header: list[str] | None, clip: tuple[float, float] | None
) -> Iterable[Iterable[str]]:
    """The label of two classes is a probability where there is a clip."""
    yield header or ["id", "label"]
    labels: Iterable[str] = table.most_probable()
    if clip is not None and len(table.classes) == 2:
        lowest, highest = np.asarray(clip, np.float32)
        labels = np.clip(table.probabilities[:, 1], lowest, highest).astype(str)
    yield from zip(table.ids, labels, strict=True)


def _probability_rows(
    table: ClassProbabilities, header: list[str] | None
) -> Iterable[Iterable[str]]:
    if header is not None:
        table = table.with_classes(header[1:])
    yield header or ["id", *table.classes]
    for image_id, row in zip(table.ids, table.probabilities, strict=True):
        yield [image_id, *row.astype(str)]


def check_output(output: Path) -> None:
    """Make the folder of a submission; asked before hours are spent on what goes in it.

    Raises:
        UserError: its folder cannot be made or written to.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--output {output} needs the folder {output.parent}, which cannot be made: "
            f"{error.strerror}"
        ) from error
    if not os.access(output.parent, os.W_OK):
        raise UserError(f"--output {output} stands in a folder that cannot be written to")


def check_sample_fits(
    submission_format: SubmissionFormat,
    sample: SampleSubmission | None,
    classes: Collection[str],
) -> None:
    """Refuse a sample submission that is one of another format or of other classes.

    Raises:
        UserError: see above; ValueError for a format that does not exist.
    """
    if submission_format not in get_args(SubmissionFormat):
        raise ValueError(f"Unknown submission format. Received: {submission_format!r}")
    if sample is None:
        return
    if submission_format == "baidu":
        raise UserError(
            f"the format baidu has no header and takes no sample; leave out {sample.path} or "
            "add --format kaggle-label or --format probabilities"
        )
    columns = sample.header[1:]
    if submission_format == "kaggle-label":
        if len(columns) != 1:
            raise UserError(
                f"{sample.path} has {len(columns) + 1} columns where the format kaggle-label "
                "has two, an id and a label; --format probabilities writes one a class"
            )
    elif sorted(columns) != sorted(classes):
        raise UserError(f"{sample.path} {_column_difference(columns, classes)}")


def _column_difference(columns: list[str], classes: Collection[str]) -> str:
    lacks, adds = sorted(set(classes) - set(columns)), sorted(set(columns) - set(classes))
    needed = "its columns after the id must be the classes of the run"
    if lacks:
        return f"lacks a column for {len(lacks)} of the classes, the first is {lacks[0]}; {needed}"
    if adds:
        return f"has a column for what is no class: {adds[0]}; {needed}"
    return f"names a class in two columns; {needed}"


def _refuse_control_characters(table: ClassProbabilities, characters: str) -> None:
    for kind, names in (("image", table.ids), ("class", table.classes)):
        for name in names:
            if any(character in name for character in characters):
                raise UserError(
                    f"the {kind} name {name!r} holds a tab or a line break, which the lines of a "
                    "submission cannot carry; rename it"
                )
