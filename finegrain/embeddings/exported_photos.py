"""Which photographs are exported: the splits of a data set, and folders without labels."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from finegrain.datasets.manifest import DataSet
from finegrain.datasets.split import SPLITS

NO_LABEL = -1


@dataclass(frozen=True)
class ExportedPhotos:
    """The photographs of one split.

    Attributes:
        paths: N image files.
        names: their paths relative to the data set or folder, with `/`.
        ids: what a submission calls them.
        labels: (N,) int64 class indices, all -1 in a folder without labels.
        groups: (N,) int64 numbers of groups of duplicates, 0 for none.
        checksums: digests of their content, empty where none is known.
    """

    paths: list[Path]
    names: list[str]
    ids: list[str]
    labels: np.ndarray
    groups: np.ndarray
    checksums: list[str]

    @property
    def labelled(self) -> bool:
        """Whether they come from a data set."""
        return bool(self.checksums)

    def digest(self) -> str:
        """SHA-256 over names, content, sizes and times of change, in their order."""
        digest = hashlib.sha256()
        contents = self.checksums or [""] * len(self.names)
        for path, name, content in zip(self.paths, self.names, contents, strict=True):
            try:
                state = path.stat()
                seen = f"{state.st_size} {state.st_mtime_ns}"
            except OSError:
                seen = "absent"
            line = f"{name} {content} {seen}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def data_set_photos(data: DataSet) -> dict[str, ExportedPhotos]:
    """The photographs of a data set by split."""
    photos = {}
    for split in data.splits:
        rows = data.rows(split)
        # Manifests of earlier versions know no groups.
        groups = rows["group"] if "group" in rows else [""] * len(rows)
        photos[split] = ExportedPhotos(
            data.paths(split),
            list(rows["path"]),
            [PurePosixPath(path).stem for path in rows["path"]],
            data.labels(split),
            np.array([int(group or 0) for group in groups], np.int64),
            list(rows["sha1"]),
        )
    return photos


def folder_photos(folders: Mapping[Path, Mapping[str, Path]]) -> dict[str, ExportedPhotos]:
    """The photographs of folders without labels; a folder's name is that of its split.

    Instead of a folder there may be a JSON that lists images beside it or below its folder.

    Where the data set has a split of that name, or another folder has it, the split is called
    `images-<name>` or `<name>-2`.

    Args:
        folders: folder or JSON -> id -> image file.
    """
    photos: dict[str, ExportedPhotos] = {}
    for folder, path_of in folders.items():
        is_list = folder.is_file()
        name = (folder.stem if is_list else folder.resolve().name) or "images"
        name = f"images-{name}" if name in SPLITS else name
        split, number = name, 1
        while split in photos:
            number += 1
            split = f"{name}-{number}"
        none, base = np.zeros(len(path_of), np.int64), folder.parent if is_list else folder
        names = [_below(path, base) for path in path_of.values()]
        photos[split] = ExportedPhotos(
            list(path_of.values()), names, list(path_of), none + NO_LABEL, none, []
        )
    return photos


def _below(path: Path, base: Path) -> str:
    inside = path.is_relative_to(base)
    return (path.relative_to(base) if inside else path).as_posix()
