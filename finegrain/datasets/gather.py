"""From the records of a layout to a table of readable photographs, each opened once."""

import builtins
import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from finegrain.datasets.class_names import check_class_name, has_control_characters, natural_key
from finegrain.datasets.layouts.layout import Layout, Listing, Record
from finegrain.decode import UnreadableImage, open_sized
from finegrain.errors import UserError
from finegrain.read_ahead import over_images
from finegrain.regular_file import open_regular

# phash looks at 32 x 32 pixels; twice that is enough to average from.
ENOUGH_PIXELS = (64, 64)
THUMBNAIL_SIZE = (8, 8)
CHUNK_BYTES = 1 << 20

# Fields of a scan that are numbers: the codes of `array` for 64 bits.
NUMBERS = {"bytes": "q", "width": "q", "height": "q", "hash": "Q"}

# (path below the source, reason) of each image that cannot be read.
Unreadable = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scan:
    """What one readable image is.

    The hash tells which of the 8 x 8 lowest frequencies of the grey picture lie above their
    median (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions").
    """

    sha1: str  # 40 hexadecimal digits
    bytes: int  # size of the file
    width: int  # pixels, after EXIF orientation
    height: int
    hash: int  # perceptual, 64 bits
    thumbnail: builtins.bytes  # the grey picture at 8 x 8, row by row, 0 to 255


def read_records(listing: Listing, layout: Layout) -> list[Record]:
    """The labelled images of a source, in natural order, whatever the order on disk.

    Refuses a class that cannot be a folder, a single class, and two files of one name in a class.
    """
    by_label: dict[str, list[Record]] = defaultdict(list)
    for record in layout.read(listing):
        by_label[record.label].append(record)
    for label in sorted(by_label):
        check_class_name(label)
    records = []
    # A class at a time: keys and names take more memory than the records.
    for label in sorted(by_label, key=natural_key):
        of_class = sorted(by_label[label], key=lambda each: natural_key(each.path.as_posix()))
        _refuse_one_name(of_class)
        records += of_class
    labels = {record.label for record in records if record.part is None}
    if len(labels) < 2:
        raise UserError(
            f"{listing.folder} holds one class only ({''.join(labels) or 'none'}) as "
            f"{layout.example}; a classifier needs two or more"
        )
    return records


def _refuse_one_name(of_class: list[Record]) -> None:
    """Refuse two files of a class that would take the same place."""
    taken: dict[tuple[str | None, str], Path] = {}
    for record in of_class:
        place = (record.part, record.file_name)
        if (other := taken.setdefault(place, record.path)) != record.path:
            raise UserError(
                f"{other} and {record.path} have one name and one class, {record.label}; "
                "rename one of them"
            )


def gather_images(
    records: list[Record], source: Path, workers: int | None = None
) -> tuple[pd.DataFrame, Unreadable]:
    """A table of the readable images, in threads as `scan_images` has them, and the others.

    Columns: `file`, the path as text; `name`, that of the file in the data set; `source`, the POSIX
    path below the source; `image_id` and `label`; `category_id`, `part` and further ones where the
    layout has them; the fields of `Scan`.
    """
    problems = [_problem(record) for record in records]
    sound = (record.path for record, found in zip(records, problems, strict=True) if not found)
    scanned = scan_images(list(sound), workers)
    readable, scans, unreadable = [], _Scans(), []
    for record, problem in zip(records, problems, strict=True):
        scan = problem or next(scanned)
        if isinstance(scan, str):
            unreadable.append((_below(record.path, source), scan))
        else:
            readable.append(record)
            scans.add(scan)
    named: dict[str, list[Any]] = {
        "file": [str(record.path) for record in readable],
        "name": [record.file_name for record in readable],
        "source": [_below(record.path, source) for record in readable],
        "image_id": [record.id for record in readable],
        "category_id": [record.category_id for record in readable],
        "part": [record.part for record in readable],
        "label": [record.label for record in readable],
    }
    further = dict.fromkeys(name for record in readable for name in record.columns)
    named |= {name: [record.columns.get(name) for record in readable] for name in further}
    given = {
        name: entries
        for name, entries in named.items()
        if any(entry is not None for entry in entries)
    }
    return pd.DataFrame({**given, **scans.columns()}), unreadable


class _Scans:
    """The fields of many scans, as columns: an object an image would take four times the memory."""

    def __init__(self) -> None:
        self._sums: list[str] = []
        self._numbers = {name: array(code) for name, code in NUMBERS.items()}
        self._thumbnails: list[bytes] = []

    def add(self, scan: Scan) -> None:
        self._sums.append(scan.sha1)
        self._thumbnails.append(scan.thumbnail)
        for name, numbers in self._numbers.items():
            numbers.append(getattr(scan, name))

    def columns(self) -> dict[str, Any]:
        return {
            "sha1": self._sums,
            **{name: np.array(numbers) for name, numbers in self._numbers.items()},
            "thumbnail": self._thumbnails,
        }


def scan_images(paths: list[Path], workers: int | None = None) -> Iterator[Scan | str]:
    """For each path, in order, its `Scan`, or the reason why it cannot be read."""
    return over_images(scan_image, paths, "reading images", workers)


def scan_image(path: Path) -> Scan | str:
    """Scan one image; the whole file is decoded, so that truncation is found."""
    try:
        image, (width, height) = open_sized(path, at_least=ENOUGH_PIXELS)
        sha1, size = checksum(path)
    except UnreadableImage as unreadable:
        return str(unreadable)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    thumbnail = image.convert("L").resize(THUMBNAIL_SIZE, Image.Resampling.BOX).tobytes()
    bits = imagehash.phash(image, hash_size=8).hash
    number = int.from_bytes(np.packbits(bits).tobytes(), "big")
    return Scan(sha1, size, width, height, number, thumbnail)


def checksum(path: Path) -> tuple[str, int]:
    """SHA-1 of a file in hexadecimal digits, and its size in bytes; memory is bounded."""
    digest, size = hashlib.sha1(), 0
    with open_regular(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def check_classes(records: list[Record], table: pd.DataFrame, unreadable: Unreadable) -> None:
    """Refuse classes of a single readable image or none, which train and valid both need."""
    first: dict[str, Path] = {}
    for record in records:
        if record.part is None:
            first.setdefault(record.label, record.path)
    readable = Counter(table["label"]) if len(table) else Counter()
    few = [label for label in first if readable[label] < 2]
    if not few:
        return
    count = "a single" if readable[few[0]] else "no"
    lost = f" ({len(unreadable)} files cannot be read)" if unreadable else ""
    more = f", and {len(few) - 1} more classes likewise" if len(few) > 1 else ""
    raise UserError(
        f"the class {few[0]} has {count} readable image{lost}, such as {first[few[0]]}{more}, but "
        "training and validation need one each; add images or take the class away"
    )


def not_listed(listing: Listing) -> Unreadable:
    """The images that a source holds but its own index does not list, with the reason."""
    return [(_below(path, listing.folder), reason) for path, reason in listing.not_listed]


def hashes_and_thumbnails(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(N,) uint64 and (N, 64) uint8, as `group_duplicates` takes them."""
    hashes = table["hash"].to_numpy(np.uint64)
    thumbnails = np.frombuffer(b"".join(table["thumbnail"]), np.uint8).reshape(len(table), -1)
    return hashes, thumbnails


def _problem(record: Record) -> str | None:
    if record.problem is None and has_control_characters(record.file_name):
        return "the file name holds a line break, a control sign, or bytes that are no UTF-8"
    return record.problem


def _below(path: Path, source: Path) -> str:
    below = path.relative_to(source) if path.is_relative_to(source) else path
    # Tables are UTF-8; a name that is not must not keep them from being written.
    return below.as_posix().encode("utf-8", "backslashreplace").decode("utf-8")
