"""Exchange many files of a folder all together: what fails half-way leaves the old ones."""

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

# Below the folder: what is to come stands in `new`, what it takes the place of in `old`.
ASIDE = ".placing"


class FolderChange:
    """New files are made aside first and then renamed into their places, which takes no space.

    Args:
        folder: exists.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._new, self._old = folder / ASIDE / "new", folder / ASIDE / "old"
        # (from, to) of all that was renamed so far.
        self._moved: list[tuple[Path, Path]] = []

    def begin(self, wanted: set[str]) -> None:
        """Keep of what an earlier change was stopped in only the files that are wanted now."""
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

    def exchange(self, leaving: Iterable[str], coming: Iterable[str]) -> None:
        """Take files out of the folder and put those made aside into it.

        Raises:
            OSError: call `undo`.
        """
        for path in leaving:
            self._set_aside(path)
        for path in coming:
            self._set_aside(path)
            self._move(self._new / path, self.folder / path)

    def undo(self) -> None:
        """Put back what `exchange` has renamed so far."""
        while self._moved:
            source, target = self._moved[-1]
            os.replace(target, source)
            self._moved.pop()

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
        self._moved.append((source, target))
