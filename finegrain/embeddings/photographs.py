"""Which photographs are exported, and which views of each: as it is, mirrored, or augmented."""

import contextlib
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, overload

import numpy as np

from finegrain.datasets.manifest import DataSet
from finegrain.datasets.split import SPLITS
from finegrain.decode import UnreadableImage, read_pixels
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.images.augmentation import Augmentation

KINDS = PLAIN, FLIP, AUGMENTED = "plain", "flip", "augmented"
# Keeps the chance behind exported views apart from that behind a training's.
EXPORTED_VIEW = 15_485_863
MOST_VIEWS = 1000


@dataclass(frozen=True)
class ExportedPhotos:
    """The photographs of one split.

    Attributes:
        paths: N image files.
        names: their paths relative to the data set or folder, with `/`.
        ids: what a submission calls them.
        labels: (N,) int64 class indices, all -1 in a folder without labels.
        groups: (N,) int64 numbers of groups of duplicates, 0 for none.
        checksums: digests of their content; where there are none, a photograph that cannot be
            read is left out instead of refused.
        first: number of the first one in its whole split, of which these may be a part.
    """

    paths: Sequence[Path]
    names: list[str]
    ids: list[str]
    labels: np.ndarray
    groups: np.ndarray
    checksums: list[str]
    first: int = 0

    @classmethod
    def unlabelled(
        cls, paths: Sequence[Path], names: list[str], ids: list[str], checksums: Sequence[str] = ()
    ) -> "ExportedPhotos":
        """Photographs of which no class and no group is known."""
        none = np.zeros(len(paths), np.int64)
        return cls(paths, names, ids, none - 1, none, list(checksums))

    def part(self, first: int, end: int) -> "ExportedPhotos":
        """Those from `first` up to, but not with, `end`."""
        some = slice(first, end)
        return ExportedPhotos(
            self.paths[some],
            self.names[some],
            self.ids[some],
            self.labels[some],
            self.groups[some],
            self.checksums[some],
            self.first + first,
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, content, sizes and times of change, in their order.

        Asked once, since of many photographs that takes a while.
        """
        digest = hashlib.sha256()
        contents = self.checksums or [""] * len(self.names)
        for path, name, content in zip(self.paths, self.names, contents, strict=True):
            seen = "absent"
            with contextlib.suppress(OSError):
                state = path.stat()
                seen = f"{state.st_size} {state.st_mtime_ns}"
            line = f"{name} {content} {seen}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


class PathsBelow(Sequence[Path]):
    """Files below a folder, by names that something else holds: a path is made when asked for.

    Millions of them would take more memory than all else that is known of their photographs.
    """

    def __init__(self, folder: Path, names: Sequence[str]):
        self._folder, self._names = folder, names

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, place: int) -> Path: ...
    @overload
    def __getitem__(self, place: slice) -> "PathsBelow": ...
    def __getitem__(self, place: int | slice) -> "Path | PathsBelow":
        if isinstance(place, slice):
            return PathsBelow(self._folder, self._names[place])
        return self._folder / self._names[place]


def data_set_photos(data: DataSet, all_readable: bool = True) -> dict[str, ExportedPhotos]:
    """The photographs of a data set by split; `all_readable` refuses one that cannot be read."""
    photos = {}
    for split in data.splits:
        rows = data.rows(split)
        # Manifests of earlier versions know no groups.
        groups = rows["group"] if "group" in rows else [""] * len(rows)
        names = rows["path"].tolist()
        photos[split] = ExportedPhotos(
            PathsBelow(data.folder, names),
            names,
            [PurePosixPath(name).stem for name in names],
            data.labels(split),
            np.array([int(group or 0) for group in groups], np.int64),
            list(rows["sha1"]) if all_readable else [],
        )
    return photos


def folder_photos(folders: Mapping[Path, Mapping[str, Path]]) -> dict[str, ExportedPhotos]:
    """The photographs of folders without labels (folder -> id -> file), by names of splits.

    Instead of a folder there may be a JSON that lists images beside it or below its folder. Its
    split has its name; where the data set has such a split, or another folder that name, it is
    called `images-<name>` or `<name>-2`.
    """
    photos: dict[str, ExportedPhotos] = {}
    for folder, path_of in folders.items():
        is_list = folder.is_file()
        name = (folder.stem if is_list else folder.resolve().name) or "images"
        name = f"images-{name}" if name in SPLITS else name
        others = (f"{name}-{number}" for number in itertools.count(2))
        split = next(split for split in itertools.chain([name], others) if split not in photos)
        base, paths = folder.parent if is_list else folder, list(path_of.values())
        names = [
            (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()
            for path in paths
        ]
        photos[split] = ExportedPhotos.unlabelled(paths, names, list(path_of))
    return photos


@dataclass(frozen=True)
class ViewPlan:
    """The views of each photograph; view 0 is always the photograph as it is.

    Attributes:
        kind: `plain`, `flip` (view 1 is the mirror image) or `augmented`.
        augmented: number of augmented views of a training photograph beside the plain one.
        seed: of the augmentation.
    """

    kind: str = PLAIN
    augmented: int = 0
    seed: int = 0

    @classmethod
    def parse(cls, text: str, seed: int) -> "ViewPlan":
        """What `--views` says: `plain`, `flip` or a number of augmented views, or it is refused."""
        if text in (PLAIN, FLIP):
            return cls(text)
        if text.isdecimal() and len(text) <= len(str(MOST_VIEWS)) and 1 <= int(text) <= MOST_VIEWS:
            return cls(AUGMENTED, int(text), seed)
        raise UserError(
            f"--views {text[:40]!r} is unknown; give plain, flip, or a number of augmented views, "
            f"1 to {MOST_VIEWS}"
        )

    def count(self, split: str) -> int:
        """Views of a photograph of a split; only training photographs are augmented."""
        if self.kind == FLIP:
            return 2
        return 1 + (self.augmented if split == "train" else 0)

    def described(self) -> dict[str, Any]:
        """All that the views depend on, as JSON values."""
        described: dict[str, Any] = {"kind": self.kind}
        if self.kind == AUGMENTED:
            ranges = Augmentation().ranges()
            described |= {"augmented": self.augmented, "seed": self.seed, "ranges": ranges}
        return described


@dataclass(frozen=True)
class ExportedViews:
    """Views of photographs in a frame, by number; threads may share them."""

    photos: ExportedPhotos
    frame: Frame
    plan: ViewPlan

    @property
    def paths(self) -> Sequence[Path]:
        """The N image files."""
        return self.photos.paths

    def views(self, index: int, numbers: Sequence[int]) -> np.ndarray:
        """K views of a photograph, (K, H, W, 3) uint8, always the same; it is decoded once.

        One that cannot be read raises `UnreadableImage`, but a `UserError` if it has a checksum.
        """
        path = self.paths[index]
        try:
            pixels = read_pixels(path, self.frame)
        except UnreadableImage as error:
            if not self.photos.checksums:
                raise
            raise UserError(
                f"{path} can no longer be read ({error}); put it back, or make the data set "
                "again with img2keras.py"
            ) from error
        return np.stack([self._view(pixels, index, int(number)) for number in numbers])

    def _view(self, pixels: np.ndarray, index: int, number: int) -> np.ndarray:
        if number == 0:
            return pixels
        if self.plan.kind == FLIP:
            return pixels[:, ::-1]
        # By its number in the whole split, so that a shard holds what the whole export would.
        chance = [self.plan.seed, EXPORTED_VIEW, self.photos.first + index, number]
        rng = np.random.default_rng(chance)
        return Augmentation().apply(pixels, int(rng.integers(2**32)))
