"""Change many files of a data folder all together: what fails half-way leaves the old ones.

Only what earlier runs put there may be replaced or removed. Two lists tell: the manifest of a
finished run, and `.unfinished.csv`, which a run writes before its first change and removes after
its last, so that a killed run leaves nothing unknown.
"""

import contextlib
import csv
import itertools
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pandas as pd

from finegrain.datasets.gather import checksum
from finegrain.datasets.manifest import CLASSES, DUPLICATES, MANIFEST, UNFINISHED, UNREADABLE
from finegrain.datasets.split import RETRIEVAL, SPLITS
from finegrain.errors import UserError
from finegrain.whole_files import written_whole

# Below the folder: what is to come stands in `new`, what it takes the place of in `old`.
ASIDE = ".placing"
# For each path below the data folder the checksums that a run of ours has given it.
Made = dict[str, set[str]]


def read_made(output: Path) -> Made:
    """Read both lists of a data folder; refuse tables named like ours that somebody else made."""
    made: Made = defaultdict(set)
    lists = [output / name for name in (UNFINISHED, MANIFEST) if (output / name).is_file()]
    for path, sha1 in itertools.chain.from_iterable(map(_read_list, lists)):
        parts = PurePosixPath(path).parts
        # Only what a run can have made: an edited list must not lead elsewhere.
        if len(parts) == 3 and parts[0] in SPLITS + RETRIEVAL and ".." not in parts:
            made[path].add(sha1)
    for name in (CLASSES, DUPLICATES, UNREADABLE):
        if not lists and os.path.lexists(output / name):
            raise UserError(_foreign(output / name))
    return made


def is_ours(target: Path, sums: set[str]) -> bool:
    """Whether a file is still what a run of ours made; `sums` are the checksums it gave."""
    if target.is_symlink():
        return bool(sums)
    return target.is_file() and checksum(target)[0] in sums


def refuse_foreign(output: Path, paths: Iterable[str], made: Made) -> None:
    """Refuse to write over files that are not ours."""
    for path in paths:
        target = output / path
        if os.path.lexists(target) and not is_ours(target, made.get(path, set())):
            raise UserError(_foreign(target))


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


class FolderChange:
    """New files are made aside first and then renamed into their places, which takes no space."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._new, self._old = folder / ASIDE / "new", folder / ASIDE / "old"
        # (from, to) of all that was renamed so far, as text: of a million that is half the memory.
        self._moved: list[tuple[str, str]] = []

    def begin(self, wanted: set[str]) -> None:
        """Of the files left by a change that was stopped, keep only those wanted now."""
        aside = self.folder / ASIDE
        if aside.is_symlink() or aside.is_file():
            aside.unlink()
        shutil.rmtree(self._old, ignore_errors=True)
        for path in list(self._new.rglob("*")):
            is_file = path.is_symlink() or not path.is_dir()
            if is_file and path.relative_to(self._new).as_posix() not in wanted:
                path.unlink()

    def coming(self, path: str) -> Path:
        """Where to make the file that shall stand at `path` below the folder."""
        place = self._new / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def exchange(
        self, leaving: Iterable[str], coming: Iterable[str], ours: Iterable[tuple[str, str]]
    ) -> None:
        """Put the coming files in place of the leaving, or do nothing; lists `ours` meanwhile."""
        unfinished = self.folder / UNFINISHED
        was_finished = not unfinished.exists()
        try:
            with written_whole(unfinished) as beside:
                pd.DataFrame(sorted(ours), columns=["path", "sha1"]).to_csv(beside, index=False)
            for path in leaving:
                self._set_aside(path)
            for path in coming:
                self._set_aside(path)
                self._move(self._new / path, self.folder / path)
        except (Exception, KeyboardInterrupt):
            while self._moved:
                source, target = self._moved[-1]
                os.replace(target, source)
                self._moved.pop()
            if was_finished:
                unfinished.unlink(missing_ok=True)
            raise
        unfinished.unlink()

    def clear(self, paths: Iterable[str]) -> None:
        """Remove what stands aside, and the folders of these paths where they are empty now."""
        shutil.rmtree(self.folder / ASIDE, ignore_errors=True)
        folders = {folder for path in paths for folder in PurePosixPath(path).parents}
        for folder in sorted(folders - {PurePosixPath()}, key=lambda folder: -len(folder.parts)):
            with contextlib.suppress(OSError):
                (self.folder / folder).rmdir()  # refuses a folder that still holds something

    def _set_aside(self, path: str) -> None:
        if os.path.lexists(self.folder / path):
            self._move(self.folder / path, self._old / path)

    def _move(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
        self._moved.append((str(source), str(target)))
