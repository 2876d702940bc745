"""Open the query and the gallery of a data set folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from finegrain.datasets.manifest import MANIFEST, UNFINISHED, read_manifest
from finegrain.datasets.retrieval import CAMERA, IDENTITY
from finegrain.datasets.split import RETRIEVAL
from finegrain.errors import UserError

MAKE = "make it with img2keras.py from the folder that holds bounding_box_test and query"


@dataclass(frozen=True, eq=False)
class RetrievalImages:
    """The query or the gallery.

    Attributes:
        paths: N image files.
        names: their paths below the data set folder, with `/`.
        checksums: SHA-1 of each file.
        identities: (N,) int64; 0 for distractors.
        cameras: (N,) int64.
    """

    paths: list[Path]
    names: list[str]
    checksums: list[str]
    identities: np.ndarray
    cameras: np.ndarray


def open_retrieval(folder: Path) -> dict[str, RetrievalImages]:
    """The query and the gallery of a data set folder, in the order of its manifest.

    Raises:
        UserError: no such folder, no or a broken manifest, none of these images, or some are
            missing.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise UserError(f"{folder} is no data set folder (it has no {MANIFEST}); {MAKE}")
    if (folder / UNFINISHED).exists():
        raise UserError(f"{folder} was not finished; start the same img2keras.py command again")
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
