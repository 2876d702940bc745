"""What earlier runs put into a data folder: the only files that a run may replace or remove.

Two lists tell: the manifest of a finished run, and `.unfinished.csv`, which a run writes before
its first change and removes after its last, so that a killed run leaves nothing unknown.
"""

import csv
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from finegrain.datasets.manifest import CLASSES, MANIFEST, UNFINISHED
from finegrain.datasets.scan import checksum
from finegrain.datasets.split import RETRIEVAL, SPLITS
from finegrain.errors import UserError
from finegrain.whole_files import written_whole

DUPLICATES = "duplicates.csv"
UNREADABLE = "unreadable.csv"

# For each path below the data folder the checksums that a run of ours has given it.
Made = dict[str, set[str]]


def read_made(output: Path) -> Made:
    """Read both lists of a data folder.

    Raises:
        UserError: the folder holds a table named like ours that no run of ours wrote.
    """
    made: Made = defaultdict(set)
    ours = False
    for name in (UNFINISHED, MANIFEST):
        if not (output / name).is_file():
            continue
        for path, sha1 in _read_list(output / name):
            parts = PurePosixPath(path).parts
            # Only what a run can have made: an edited list must not lead elsewhere.
            placed = len(parts) == 3 and parts[0] in SPLITS + RETRIEVAL
            if placed and ".." not in parts:
                made[path].add(sha1)
        ours = True
    for name in (CLASSES, DUPLICATES, UNREADABLE):
        if not ours and os.path.lexists(output / name):
            raise UserError(_foreign(output / name))
    return made


def is_ours(target: Path, sums: set[str]) -> bool:
    """Whether a file is still what a run of ours made; `sums` are the checksums it gave."""
    if target.is_symlink():
        return bool(sums)
    return target.is_file() and checksum(target)[0] in sums


def refuse_foreign(output: Path, paths: Iterable[str], made: Made) -> None:
    """Refuse to write over files that are not ours.

    Raises:
        UserError: one of the paths is taken by such a file.
    """
    for path in paths:
        target = output / path
        if os.path.lexists(target) and not is_ours(target, made.get(path, set())):
            raise UserError(_foreign(target))


def write_unfinished(output: Path, made: Made, coming: Iterable[tuple[str, str]]) -> None:
    """List all that is ours now or will be, as (path, sha1), before the first change."""
    rows = {(path, sha1) for path, sums in made.items() for sha1 in sums} | set(coming)
    with (
        written_whole(output / UNFINISHED) as beside,
        beside.open("w", encoding="utf-8", newline="") as file,
    ):
        csv.writer(file).writerows([("path", "sha1"), *sorted(rows)])


def stale_files(output: Path, made: Made, wanted: set[str]) -> list[str]:
    """Our files that stand there and are no longer wanted."""
    return [
        path
        for path in sorted(made.keys() - wanted)
        if os.path.lexists(output / path) and is_ours(output / path, made[path])
    ]


def _read_list(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [(row["path"], row["sha1"]) for row in csv.DictReader(file, strict=True)]
    except (KeyError, TypeError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(_foreign(path)) from error


def _foreign(path: Path) -> str:
    return (
        f"{path} stands in the way and was not made by this command; move it away or choose "
        "another --output"
    )
