"""The file that a leaderboard takes, and its sample, which says how it must look."""

import csv
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from finegrain.decode import IMAGE_SUFFIXES
from finegrain.errors import UserError
from finegrain.submission.class_probabilities import ClassProbabilities
from finegrain.whole_files import written_whole

SubmissionFormat = Literal["baidu", "kaggle-label", "probabilities"]

# A sure answer that is wrong costs the log loss without bound; this caps its price.
KAGGLE_CLIP = (0.005, 0.995)


@dataclass(frozen=True)
class SampleSubmission:
    """Which ids a leaderboard wants in its first column, in which order, and its column names."""

    path: Path
    header: list[str]
    ids: list[str]

    def image_ids(self, known: Collection[str]) -> list[str]:
        """The id of the image of each row, each its own; `1.jpg` may stand for the image `1`."""
        known = set(known)
        found = [row if row in known else _without_suffix(row) for row in self.ids]
        missing = [row for row, image in zip(self.ids, found, strict=True) if image not in known]
        if missing:
            raise UserError(
                f"{self.path} asks for {missing[0]}, which has no image in the folder "
                f"({len(missing)} of its {len(self.ids)} ids have none); "
                "check that --images and --sample-submission belong together"
            )
        _refuse_repetition(self.path, found)
        return found


def read_sample_submission(path: Path) -> SampleSubmission:
    """Read a CSV file with a header and the id in its first column, or refuse what is none."""
    if not path.is_file():
        raise UserError(f"there is no file {path}; --sample-submission takes a CSV file")
    try:
        # Spreadsheets put a byte order mark in front, which would become part of the name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV file in UTF-8: {error}") from None
    if len(header) < 2:
        raise UserError(f"{path} must open with a header like `id,label`; it has no two columns")
    if not rows:
        raise UserError(f"{path} lists no ids below its header {','.join(header)}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise UserError(
                f"row {number} of {path} has {len(row)} values where its header has {len(header)}"
            )
    ids = [row[0] for row in rows]
    _refuse_repetition(path, ids)
    return SampleSubmission(path, header, ids)


def _without_suffix(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else name


def _refuse_repetition(path: Path, ids: list[str]) -> None:
    seen: set[str] = set()
    for image_id in ids:
        if image_id in seen:
            raise UserError(f"{path} lists the id {image_id} twice; each image has one row")
        seen.add(image_id)


def write_submission(
    table: ClassProbabilities,
    output: Path,
    submission_format: SubmissionFormat = "baidu",
    sample: SampleSubmission | None = None,
    clip: tuple[float, float] | None = KAGGLE_CLIP,
) -> int:
    """Write a submission, replacing one of the same name, and say how many rows it has.

    - `baidu`: `label<TAB>id`, no header, and no sample.
    - `kaggle-label`: `id,label`; of two classes, as in cats against dogs, the probability of the
      second one, clipped; of more classes, or without a clip, the most probable one.
    - `probabilities`: `id,<class>,...`, one column a class, in the shortest digits that keep it.

    A sample gives header, ids, and their order. There is no clip where classes are a JSON's
    category ids: leaderboards that came with a JSON want one of them of two, too, and no
    probability. UserError where the sample does not fit the format, the classes or the images, the
    format cannot carry an id or a class name, or the file cannot be written.
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
                rows = _label_rows(table, header, clip)
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
    """Make the folder of a submission, or refuse it, before hours are spent on what goes in it."""
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
    submission_format: SubmissionFormat, sample: SampleSubmission | None, classes: Collection[str]
) -> None:
    """Refuse a sample submission that is one of another format or of other classes."""
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
