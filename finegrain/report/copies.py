"""Photographs that stand, nearly the same, on both sides of the split.

A copy of a validation photograph among the training ones makes the score too good. img2keras.py
keeps the copies it finds on one side; this looks again at what the model finds most alike, and so
also sees mirrored and cropped copies, and splits that were made otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from finegrain.datasets.duplicates import LEAST_CONTRAST, LIKE
from finegrain.decode import UnreadableImage, open_rgb
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.nearest import unit_rows
from finegrain.report.nearest import TRAIN, rows_of, training_blocks
from finegrain.report.photographs import Photographs

# Below it no two photographs of one scene were seen among the flowers.
LEAST_SIMILARITY = 0.9
MOST_CHECKED = 200
# Random projection to so many numbers keeps a cosine of 0.95 to within 0.01.
PROJECTED = 256
GREY_SIDE = 16


@dataclass(frozen=True)
class Copy:
    """A held-out photograph and the training photograph it is like.

    Attributes:
        path, training_path: the two.
        kind: `equal file`, `same picture` or `mirrored`.
    """

    path: str
    training_path: str
    kind: str


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

    Of each held-out photograph the nearest training photograph is a candidate, if the cosine of
    their embeddings is at least `LEAST_SIMILARITY`; the `MOST_CHECKED` nearest candidates are
    looked at. They are copies if their 16 x 16 grey thumbnails, one of them mirrored or not,
    correlate with at least `LIKE`.

    Args:
        features: embeddings of the data set.
        split: the held-out one.
        photographs: of the data set; those that cannot be read are passed over.
    """
    return [
        Copy(path, other, kind)
        for path, other in candidates(features, split)
        if (kind := _alike(photographs, path, other))
    ]


def candidates(features: FeatureFile, split: str) -> list[tuple[str, str]]:
    """(held-out, training) paths of the most similar embeddings, most similar first."""
    rows = rows_of(features, split)
    if not rows or TRAIN not in features.splits:
        return []
    paths = list(rows)
    shrink = _projection(features.width)
    queries = unit_rows(features.read(split, list(rows.values())) @ shrink)
    best = np.full(len(paths), -np.inf, np.float32)
    nearest = np.zeros(len(paths), np.int64)
    for block, embeddings in training_blocks(features):
        similarity = queries @ unit_rows(embeddings @ shrink).T
        place = similarity.argmax(axis=1)
        value = similarity[np.arange(len(paths)), place]
        nearest = np.where(value > best, block[place], nearest)
        best = np.maximum(best, value)
    order = np.argsort(-best, kind="stable")[:MOST_CHECKED]
    training = features.splits[TRAIN].paths
    return [
        (paths[place], str(training[nearest[place]]))
        for place in order
        if best[place] >= LEAST_SIMILARITY
    ]


def _projection(width: int) -> np.ndarray:
    if width <= PROJECTED:
        return np.eye(width, dtype=np.float32)
    rng = np.random.default_rng(0)
    return rng.standard_normal((width, PROJECTED), np.float32) / np.sqrt(PROJECTED)


def _alike(photographs: Photographs, path: str, other: str) -> str:
    try:
        with_one, with_other = (_open(photographs, name) for name in (path, other))
    except (UnreadableImage, ValueError):
        return ""
    one = _standardised(with_one)
    if one @ _standardised(with_other) >= LIKE:
        return "same picture"
    return "mirrored" if one @ _standardised(ImageOps.mirror(with_other)) >= LIKE else ""


def _open(photographs: Photographs, path: str) -> Image.Image:
    return open_rgb(photographs.file(path), at_least=(4 * GREY_SIDE, 4 * GREY_SIDE))


def _standardised(image: Image.Image) -> np.ndarray:
    """Grey thumbnail of mean 0 and length 1; all 0 where there is no contrast."""
    small = image.convert("L").resize((GREY_SIDE, GREY_SIDE), Image.Resampling.BOX)
    values = np.asarray(small, np.float64).reshape(-1)
    values = values - values.mean()
    length = np.linalg.norm(values)
    return values / length if values.std() >= LEAST_CONTRAST else np.zeros_like(values)


def without_repeats(copies: Sequence[Copy]) -> list[Copy]:
    """The first finding of each pair."""
    found: dict[tuple[str, str], Copy] = {}
    for copy in copies:
        found.setdefault((copy.path, copy.training_path), copy)
    return list(found.values())
