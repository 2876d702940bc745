"""The sample submission of a leaderboard: which ids it wants, in which order, under which names."""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from finegrain.decode import IMAGE_SUFFIXES
from finegrain.errors import UserError


@dataclass(frozen=True)
class SampleSubmission:
    """What a submission must look like.

    Attributes:
        path: the file it was read from.
        header: column names; the first one is the id's.
        ids: the first column, as written there, in its order.
    """

    path: Path
    header: list[str]
    ids: list[str]

    def image_ids(self, known: Collection[str]) -> list[str]:
        """The known id of the image behind each row; `1.jpg` may stand for the image `1`.

        Raises:
            UserError: rows without an image, or two rows for one image.
        """
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
    """Read a CSV file with a header and the id in its first column.

    Raises:
        UserError: no such file, not UTF-8, no rows, a header of fewer than two columns,
            a row of another length than the header, or an id that stands there twice.
    """
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
