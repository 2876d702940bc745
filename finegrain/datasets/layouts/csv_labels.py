"""A CSV with the columns `id,label` beside a folder of images.

It stands in the source, or beside it; the ids are file names, with or without the suffix, or
paths below the source. A CSV with "submission" in its name is a leaderboard's form, no labels.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from finegrain.datasets.layouts.layout import Layout, Listing, Record
from finegrain.errors import UserError

COLUMNS = ("id", "label")
# A list of class names also has ids and labels, a few of which may look like image names.
LEAST_SHARE = 0.1


def matches(listing: Listing) -> bool:
    """There is a label list whose ids name a fair share of the images."""
    index = _index_images(listing)
    for table in _find_label_lists(listing):
        ids = [identity for identity, _, _ in _read_rows(table)]
        found = sum(identity in index for identity in ids)
        if found and found >= LEAST_SHARE * max(len(ids), len(listing.all_images)):
            return True
    return False


def read(listing: Listing) -> Iterator[Record]:
    """Yield one record a row of the label list; a row without its image becomes a problem.

    Raises a `UserError` unless there is one list, each row with an id and a label, no id twice.
    """
    tables = _find_label_lists(listing)
    if len(tables) != 1:
        seen = "no CSV with the columns id,label stands"
        if tables:
            names = ", ".join(table.name for table in tables)
            seen = f"several CSVs with the columns id,label ({names}) stand"
        raise UserError(f"{seen} in {listing.folder} or beside it; leave exactly one there")
    (table,) = tables
    index = _index_images(listing)
    line_of: dict[Path, int] = {}
    for identity, label, line in _read_rows(table):
        if not identity or not label:
            lacking = "label" if identity else "id"
            raise UserError(f"line {line} of {table} has no {lacking}; add it")
        found = index.get(identity, [])
        if len(found) > 1:
            raise UserError(
                f"the id {identity} in line {line} of {table} fits two images, {found[0]} and "
                f"{found[1]}; write the whole file name as the id, or remove one image"
            )
        path = found[0] if found else listing.folder / identity
        if path in line_of:
            raise UserError(
                f"lines {line_of[path]} and {line} of {table} have the same id {identity}; "
                "keep one of them"
            )
        line_of[path] = line
        problem = None if found else f"named in {table.name}, but there is no such image"
        yield Record(path, label, identity, problem)


def _find_label_lists(listing: Listing) -> list[Path]:
    """The label lists in the source, or else beside it if it has its images in itself."""
    inside = _label_lists_in(listing.folder)
    if inside or not listing.images:
        return inside
    return _label_lists_in(listing.folder.resolve().parent)


def _label_lists_in(folder: Path) -> list[Path]:
    tables = [path for path in sorted(folder.glob("*.[cC][sS][vV]")) if path.is_file()]
    labels = [p for p in tables if p.name[0] != "." and "submission" not in p.name.lower()]
    return [path for path in labels if set(COLUMNS) <= set(_header(path))]


def _header(path: Path) -> list[str]:
    # A stray CSV in another encoding must not stop the look for the right one.
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return [name.strip().lower() for name in next(csv.reader(file), [])]


def _read_rows(path: Path) -> Iterator[tuple[str, str, int]]:
    header = _header(path)
    columns = [header.index(name) for name in COLUMNS]
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            next(rows)
            for row in rows:
                if any(row):
                    padded = row + [""] * len(header)
                    identity, label = (padded[column].strip() for column in columns)
                    yield identity, label, rows.line_num
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a CSV in UTF-8 ({error}); save it as one") from error


def _index_images(listing: Listing) -> dict[str, list[Path]]:
    """Every name an id may use -> the images it may mean; the fuller name goes first."""
    by_path = {path.relative_to(listing.folder).as_posix(): [path] for path in listing.all_images}
    by_name, by_stem = defaultdict(list), defaultdict(list)
    for path in listing.all_images:
        by_name[path.name].append(path)
        by_stem[path.stem].append(path)
    return {**by_stem, **by_name, **by_path}


LAYOUT = Layout("csv_labels", "id,label in a CSV", matches, read)
