"""Images for retrieval only: the query and the gallery of a re-identification data set.

They stand in `query/` and `gallery/` of the data set folder and in its manifest, with the identity
that is seen and the camera that saw it. No training knows them.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from finegrain.datasets.class_names import natural_key
from finegrain.datasets.manifest import MANIFEST, read_manifest, refuse_unfinished
from finegrain.datasets.split import RETRIEVAL
from finegrain.errors import UserError

IDENTITY, CAMERA = "identity", "camera"
# In a gallery: a detection of nobody that anybody looks for.
DISTRACTOR = 0
MAKE = "make it with img2keras.py from the folder that holds bounding_box_test and query"


@dataclass(frozen=True, eq=False)
class RetrievalImages:
    """The query or the gallery: N images."""

    paths: list[Path]
    names: list[str]  # paths below the data set folder, with `/`
    checksums: list[str]  # SHA-1 of each file
    identities: np.ndarray  # (N,) int64; 0 for distractors
    cameras: np.ndarray  # (N,) int64


def apart(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divide the table of `gather_images` into images to learn from and those for retrieval only.

    These are rows of the manifest, with `path`, `split` and `group`, by part and file name.
    """
    if "part" not in table:
        return table, table.iloc[:0].assign(path="", split="", group=0)
    learned = table[table["part"].isna()].drop(columns="part").reset_index(drop=True)
    rows = table[table["part"].notna()].rename(columns={"part": "split"})
    rows = rows.assign(path=rows["split"] + "/" + rows["label"] + "/" + rows["name"], group=0)
    parts, paths = rows["split"].tolist(), rows["path"].tolist()
    order = sorted(
        range(len(rows)), key=lambda row: (RETRIEVAL.index(parts[row]), natural_key(paths[row]))
    )
    return learned, rows.iloc[order].reset_index(drop=True)


def with_retrieval(rows: pd.DataFrame, retrieval: pd.DataFrame) -> pd.DataFrame:
    """All rows of the manifest; those for retrieval only come last."""
    return pd.concat([rows, retrieval], ignore_index=True) if len(retrieval) else rows


def retrieval_lines(rows: pd.DataFrame) -> list[str]:
    """A line for the query and one for the gallery: images, identities, cameras, distractors."""
    lines = []
    for part in RETRIEVAL:
        images = rows[rows["split"] == part]
        if len(images):
            people, cameras = Counter(images[IDENTITY]), images[CAMERA].nunique()
            count = people.pop(str(DISTRACTOR), 0)
            ending = f", {count} of them distractors" if count else ""
            seen = f"{len(images)} images of {len(people)} identities by {cameras} cameras"
            lines.append(f"{part:8} {seen}{ending}")
    return lines


def open_retrieval(folder: Path) -> dict[str, RetrievalImages]:
    """Query and gallery in the order of a data set's manifest; a `UserError` if any is missing."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise UserError(f"{folder} is no data set folder (it has no {MANIFEST}); {MAKE}")
    refuse_unfinished(folder)
    table = read_manifest(manifest)
    opened = {}
    for part in RETRIEVAL:
        rows = table[table["split"] == part]
        if not len(rows) or IDENTITY not in rows or CAMERA not in rows:
            raise UserError(f"{manifest} has no {part} images with identity and camera; {MAKE}")
        names = list(rows["path"])
        paths = [folder / name for name in names]
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(paths)} {part} images in {manifest} are missing, the "
                f"first is {missing[0]}; start the img2keras.py command that made the folder again"
            )
        numbers = [_numbers(rows[column], manifest) for column in (IDENTITY, CAMERA)]
        opened[part] = RetrievalImages(paths, names, list(rows["sha1"]), *numbers)
    return opened


def _numbers(column: pd.Series, manifest: Path) -> np.ndarray:
    try:
        return column.to_numpy(str).astype(np.int64)
    except ValueError as error:
        raise UserError(
            f"{manifest} has the {column.name} {str(error).rpartition(': ')[2]}, which is no "
            "number; make the data set again"
        ) from error
