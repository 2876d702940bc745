"""Pixels of photographs by number: from their files, or from a store, decoded once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from finegrain.decode import UnreadableImage, read_pixels
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.stores.row_layout import RowKind
from finegrain.stores.row_store import DamagedStore, RowStore
from finegrain.stores.store_folder import StoreFolder

PIXELS = "pixels"


class PixelSource(Protocol):
    """Where the pixels of N photographs come from; threads may share one."""

    def read(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 pixels, RGB 0 to 255, of photograph `index`, 0 to N - 1."""


@dataclass(frozen=True)
class PhotoFiles:
    """N photographs in one frame, decoded anew each time."""

    paths: Sequence[Path]
    frame: Frame

    def read(self, index: int) -> np.ndarray:
        """See `PixelSource`; `UserError` where the photograph can no longer be read."""
        try:
            return read_pixels(self.paths[index], self.frame)
        except UnreadableImage as error:
            raise UserError(
                f"{self.paths[index]} can no longer be read ({error}); put it back, or make the "
                "data set again with img2keras.py"
            ) from error


@dataclass(frozen=True)
class PixelStore:
    """A store of the pixels of all photographs of a data set, in one frame.

    Nothing is decoded for it: whoever reads a photograph first, in whatever order, training and
    validation alike, leaves its pixels there; from then on they are read back. What the store
    has no room for is decoded each time. An image file's place is its split and row.
    """

    store: RowStore
    places: Mapping[Path, tuple[str, int]]
    frame: Frame

    @classmethod
    def open(
        cls,
        folder: StoreFolder,
        photos: Mapping[str, Sequence[Path]],
        frame: Frame,
        checksums: Mapping[Path, str] | None = None,
    ) -> "PixelStore | None":
        """The store of these very photographs in this frame, or a new one.

        None if there is no room for a single row; where not all fit, earlier splits come first,
        and the folder's `reason` tells why. Checksums are digests of the files' content, if known;
        path, size and time of change tell of a photograph that was replaced in any case.
        """
        key = {
            "images": {split: photos_digest(paths, checksums) for split, paths in photos.items()},
            **frame.key(),
        }
        store = folder.open(
            PIXELS,
            key,
            {PIXELS: RowKind((*frame.size, 3), "uint8")},
            {split: len(paths) for split, paths in photos.items()},
            {"path": {split: [str(path) for path in paths] for split, paths in photos.items()}},
        )
        if store is None:
            return None
        places = {
            path: (split, row)
            for split, paths in photos.items()
            for row, path in enumerate(paths[: store.splits.get(split, 0)])
        }
        return cls(store, places, frame)

    def photos(self, paths: Sequence[Path]) -> "StoredPhotos":
        """A source of pixels of some photographs, in an order of their own."""
        return StoredPhotos(self, PhotoFiles(paths, self.frame))

    def held(self) -> int:
        """Number of photographs whose pixels are there."""
        return sum(int(self.store.done(split).sum()) for split in self.store.splits)

    def close(self) -> None:
        """Make all that was written final, and let others write."""
        self.store.close()


class StoredPhotos:
    """Photographs read from a `PixelStore`, or from their files where they are not yet in it."""

    def __init__(self, pixels: PixelStore, files: PhotoFiles):
        self.files = files
        # Why nothing more is stored.
        self.given_up = ""
        self._store = pixels.store
        self._places = [pixels.places.get(path) for path in files.paths]
        done = {split: self._store.done(split) for split in self._store.splits}
        self._there = np.array(
            [place is not None and done[place[0]][place[1]] for place in self._places]
        )

    def read(self, index: int) -> np.ndarray:
        """As `PhotoFiles.read`, but decodes each photograph once only."""
        place = self._places[index]
        if place is not None and self._there[index]:
            split, row = place
            try:
                return self._store.read(PIXELS, split, [row])[0]
            except (DamagedStore, OSError):
                # A cache that breaks must not end a training of days.
                self._there[:] = False
                self._give_up("the store of pixels is damaged")
        pixels = self.files.read(index)
        if place is not None and not self.given_up:
            self._keep(index, place, pixels)
        return pixels

    def _keep(self, index: int, place: tuple[str, int], pixels: np.ndarray) -> None:
        split, row = place
        try:
            self._store.write(split, [row], {PIXELS: pixels[None]})
        except OSError as error:
            self._give_up(f"pixels cannot be stored ({(error.strerror or str(error)).lower()})")
            return
        self._there[index] = self._store.writable

    def _give_up(self, reason: str) -> None:
        if not self.given_up:
            print(f"  notice    {reason}; photographs are decoded each time from now on")
        self.given_up = reason


def photos_digest(paths: Sequence[Path], checksums: Mapping[Path, str] | None = None) -> str:
    """SHA-256 over content, sizes and times of change of image files, in their order.

    Without checksums the paths stand for the content. An image that has gone since the list was
    made is a `UserError`.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            state = path.stat()
        except OSError as error:
            raise UserError(
                f"{path} cannot be found any more ({error.strerror}); if img2keras.py has changed "
                "the data set meanwhile, start the same command again"
            ) from error
        content = checksums[path] if checksums else path.absolute().as_posix()
        digest.update(f"{content} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()
