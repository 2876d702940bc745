"""Training photographs that the model finds most like others, and copies across the split.

Copies make the score too good. img2keras.py keeps those it finds on one side; this looks again at
what the model finds most alike, and so sees mirrored and cropped ones, and splits made otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from finegrain.datasets.duplicates import LEAST_CONTRAST, LIKE
from finegrain.decode import UnreadableImage, open_rgb
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.nearest import Nearest, nearest, unit_rows
from finegrain.report.photographs import Photographs

TRAIN = "train"
# Rows of the training photographs compared at once.
BLOCK_ROWS = 2048
# Below it no two photographs of one scene were seen among the flowers.
LEAST_SIMILARITY = 0.9
MOST_CHECKED = 200
# Random projection to so many numbers keeps a cosine of 0.95 to within 0.01.
PROJECTED = 256
GREY_SIDE = 16


class Neighbour(NamedTuple):
    """A training photograph like another one, by the cosine of their embeddings, -1 to 1."""

    path: str
    label: int
    similarity: float


@dataclass(frozen=True)
class Copy:
    """A held-out photograph and the training photograph that it is like."""

    path: str
    training_path: str
    kind: str  # `equal file`, `same picture` or `mirrored`


def nearest_training(
    features: FeatureFile, split: str, paths: Sequence[str], count: int
) -> dict[str, list[Neighbour]]:
    """Path, if it has an embedding -> at most `count` training photographs, nearest first."""
    rows = _rows_of(features, split)
    asked = [path for path in dict.fromkeys(paths) if path in rows]
    if not asked or not _rows_of(features, TRAIN):
        return {}
    found = _search(features, features.read(split, [rows[path] for path in asked]), count)
    train = features.splits[TRAIN]
    return {
        path: [
            Neighbour(str(train.paths[row]), int(train.labels[row]), 1 - float(far))
            for far, row in zip(distances, numbers, strict=True)
        ]
        for path, distances, numbers in zip(asked, *found, strict=True)
    }


def equal_files(table: pd.DataFrame, split: str) -> list[Copy]:
    """Files of a split that are byte for byte a training file, by the manifest's checksums."""
    training = table[table["split"] == TRAIN].drop_duplicates("sha1").set_index("sha1")["path"]
    held_out = table[(table["split"] == split) & table["sha1"].isin(training.index)]
    return [
        Copy(path, training[sha1], "equal file")
        for path, sha1 in zip(held_out["path"], held_out["sha1"], strict=True)
    ]


def like_pictures(features: FeatureFile, split: str, photographs: Photographs) -> list[Copy]:
    """Pairs of a held-out and a training photograph whose pictures correlate.

    The `MOST_CHECKED` most similar pairs of nearest neighbours, of a cosine of `LEAST_SIMILARITY`
    or more, are looked at. They are copies if their 16 x 16 grey thumbnails, one of them mirrored
    or not, correlate with at least `LIKE`. Photographs that cannot be read are passed over.
    """
    return [
        Copy(path, other, kind)
        for path, other in _candidates(features, split)
        if (kind := _alike(photographs, path, other))
    ]


def without_repeats(copies: Sequence[Copy]) -> list[Copy]:
    """The first finding of each pair."""
    found: dict[tuple[str, str], Copy] = {}
    for copy in copies:
        found.setdefault((copy.path, copy.training_path), copy)
    return list(found.values())


def _rows_of(features: FeatureFile, split: str) -> dict[str, int]:
    """path -> row of the photographs of a split, each as it is, without augmented views."""
    rows = features.splits.get(split)
    if rows is None:
        return {}
    plain = np.flatnonzero(rows.views == 0)
    return {str(rows.paths[row]): int(row) for row in plain}


def _search(features: FeatureFile, queries: np.ndarray, count: int, most: int = 0) -> Nearest:
    """The nearest training photographs of (Q,D) embeddings, projected to at most `most` numbers."""
    shrink = None
    if most and features.width > most:
        rng = np.random.default_rng(0)
        shrink = rng.standard_normal((features.width, most), np.float32) / np.sqrt(most)

    def directions(embeddings: np.ndarray) -> np.ndarray:
        unit = unit_rows(embeddings)
        return unit if shrink is None else unit_rows(unit @ shrink)

    numbers = np.array(list(_rows_of(features, TRAIN).values()), np.int64)
    blocks = (
        directions(features.read(TRAIN, numbers[start : start + BLOCK_ROWS]))
        for start in range(0, len(numbers), BLOCK_ROWS)
    )
    found = nearest(blocks, directions(queries), count)
    return Nearest(found.distances, numbers[found.rows])


def _candidates(features: FeatureFile, split: str) -> list[tuple[str, str]]:
    """(held-out, training) paths of the most similar embeddings, most similar first."""
    rows = _rows_of(features, split)
    if not rows or not _rows_of(features, TRAIN):
        return []
    paths, training = list(rows), features.splits[TRAIN].paths
    found = _search(features, features.read(split, list(rows.values())), 1, PROJECTED)
    distances = found.distances[:, 0]
    return [
        (paths[place], str(training[found.rows[place, 0]]))
        for place in np.argsort(distances, kind="stable")[:MOST_CHECKED]
        if distances[place] <= 1 - LEAST_SIMILARITY
    ]


def _alike(photographs: Photographs, path: str, other: str) -> str:
    try:
        one, second = (
            open_rgb(photographs.file(name), at_least=(4 * GREY_SIDE, 4 * GREY_SIDE))
            for name in (path, other)
        )
    except (UnreadableImage, ValueError):
        return ""
    grey = _standardised(one)
    if grey @ _standardised(second) >= LIKE:
        return "same picture"
    return "mirrored" if grey @ _standardised(ImageOps.mirror(second)) >= LIKE else ""


def _standardised(image: Image.Image) -> np.ndarray:
    """Grey thumbnail of mean 0 and length 1; all 0 where there is no contrast."""
    small = image.convert("L").resize((GREY_SIDE, GREY_SIDE), Image.Resampling.BOX)
    values = np.asarray(small, np.float64).reshape(-1)
    values = values - values.mean()
    length = np.linalg.norm(values)
    return values / length if values.std() >= LEAST_CONTRAST else np.zeros_like(values)
