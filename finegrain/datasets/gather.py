"""From the records of a layout to a table of readable photographs."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from finegrain.datasets.class_names import check_class_name, has_control_signs, natural_key
from finegrain.datasets.layouts import Layout, Listing, Record
from finegrain.datasets.scan import scan_images
from finegrain.errors import UserError

# (path below the source, reason) of each image that cannot be read.
Unreadable = list[tuple[str, str]]


def read_records(listing: Listing, layout: Layout) -> list[Record]:
    """The labelled images of a source, in natural order, whatever the order on disk.

    Raises:
        UserError: a class cannot be a folder, there is one class only, or two images of a class
            have one file name; query and gallery count apart.
    """
    records = sorted(
        layout.read(listing),
        key=lambda record: (natural_key(record.label), natural_key(record.path.as_posix())),
    )
    for label in sorted({record.label for record in records}):
        check_class_name(label)
    labels = {record.label for record in records if record.part is None}
    if len(labels) < 2:
        raise UserError(
            f"{listing.folder} holds one class only ({''.join(labels) or 'none'}) as "
            f"{layout.example}; a classifier needs two or more"
        )
    taken: dict[tuple[str | None, str, str], Path] = {}
    for record in records:
        place = (record.part, record.label, record.file_name)
        other = taken.setdefault(place, record.path)
        if other != record.path:
            raise UserError(
                f"{other} and {record.path} have one name and one class, {record.label}; "
                "rename one of them"
            )
    return records


def gather_images(
    records: list[Record], source: Path, workers: int | None = None
) -> tuple[pd.DataFrame, Unreadable]:
    """Scan all images.

    Returns:
        A table of the readable ones (columns `file` with the path, `name` with the file name in
        the data set, `source` with the POSIX path below the source, `image_id`, `label`,
        `category_id`, `part` and further columns where the layout has them, and the fields of
        `Scan`), and the others.
    """
    problems = {record.path: _problem(record) for record in records}
    paths = [path for path, problem in problems.items() if problem is None]
    scans = dict(zip(paths, scan_images(paths, workers), strict=True)) if paths else {}
    rows, unreadable = [], []
    for record in records:
        below = _below(record.path, source)
        problem = problems[record.path]
        scan = scans[record.path] if problem is None else problem
        if isinstance(scan, str):
            unreadable.append((below, scan))
        else:
            named = {"file": record.path, "name": record.file_name, "source": below}
            named["image_id"] = record.id
            if record.category_id is not None:
                named["category_id"] = record.category_id
            if record.part is not None:
                named["part"] = record.part
            rows.append({**named, "label": record.label, **record.columns, **asdict(scan)})
    return pd.DataFrame(rows), unreadable


def check_classes(records: list[Record], table: pd.DataFrame, unreadable: Unreadable) -> None:
    """Refuse classes that cannot stand in train and valid both.

    Raises:
        UserError: a class has a single readable image, or none.
    """
    records = [record for record in records if record.part is None]
    readable = Counter(table["label"]) if len(table) else Counter()
    few = [name for name in dict.fromkeys(r.label for r in records) if readable[name] < 2]
    if not few:
        return
    first = next(record.path for record in records if record.label == few[0])
    count = "a single" if readable[few[0]] else "no"
    lost = f" ({len(unreadable)} files cannot be read)" if unreadable else ""
    more = f", and {len(few) - 1} more classes likewise" if len(few) > 1 else ""
    raise UserError(
        f"the class {few[0]} has {count} readable image{lost}, such as {first}{more}, but "
        "training and validation need one each; add images or take the class away"
    )


def not_listed(listing: Listing) -> Unreadable:
    """The images that a source holds but its own index does not list, with the reason."""
    return [(_below(path, listing.folder), reason) for path, reason in listing.not_listed]


def hashes_and_thumbnails(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(N,) uint64 and (N, 64) uint8, as `group_duplicates` takes them."""
    hashes = np.array(table["hash"].tolist(), np.uint64)
    thumbnails = np.frombuffer(b"".join(table["thumbnail"]), np.uint8).reshape(len(table), -1)
    return hashes, thumbnails


def _problem(record: Record) -> str | None:
    if record.problem is None and has_control_signs(record.file_name):
        return "the file name holds a line break, a control sign, or bytes that are no UTF-8"
    return record.problem


def _below(path: Path, source: Path) -> str:
    below = path.relative_to(source) if path.is_relative_to(source) else path
    # Tables are UTF-8; a name that is not must not keep them from being written.
    return below.as_posix().encode("utf-8", "backslashreplace").decode("utf-8")
