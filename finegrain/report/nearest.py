"""The training photographs that a model finds most like others."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from finegrain.embeddings.feature_file import FeatureFile

TRAIN = "train"
# Rows of the training photographs compared at once.
BLOCK_ROWS = 2048


class Neighbour(NamedTuple):
    """A training photograph like another one.

    Attributes:
        path: in the data set.
        label: its class.
        similarity: cosine of the two embeddings, -1 to 1.
    """

    path: str
    label: int
    similarity: float


def nearest_training(
    features: FeatureFile, split: str, paths: Sequence[str], count: int
) -> dict[str, list[Neighbour]]:
    """The nearest training photographs of some photographs, by cosine, nearest first.

    Args:
        features: embeddings of the run's data set.
        split: of the photographs asked about.
        paths: theirs; one without an embedding gets no answer.
        count: neighbours of each, at most.

    Returns:
        path -> neighbours.
    """
    rows = rows_of(features, split)
    asked = [path for path in dict.fromkeys(paths) if path in rows]
    if not asked or TRAIN not in features.splits:
        return {}
    queries = unit_rows(features.read(split, [rows[path] for path in asked]))
    similarity: np.ndarray = np.empty((len(asked), 0), np.float32)
    numbers: np.ndarray = np.empty((len(asked), 0), np.int64)
    for block, embeddings in training_blocks(features):
        similarity = np.hstack([similarity, queries @ embeddings.T])
        numbers = np.hstack([numbers, np.broadcast_to(block, (len(asked), len(block)))])
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        similarity, numbers = (np.take_along_axis(a, order, 1) for a in (similarity, numbers))
    train = features.splits[TRAIN]
    return {
        path: [
            Neighbour(str(train.paths[row]), int(train.labels[row]), float(value))
            for row, value in zip(numbers[place], similarity[place], strict=True)
        ]
        for place, path in enumerate(asked)
    }


def rows_of(features: FeatureFile, split: str) -> dict[str, int]:
    """path -> row of the photographs of a split, each as it is, without augmented views."""
    rows = features.splits.get(split)
    if rows is None:
        return {}
    plain = np.flatnonzero(rows.views == 0)
    return {str(rows.paths[row]): int(row) for row in plain}


def training_blocks(features: FeatureFile) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers (B,) and unit embeddings (B,D) of the training photographs, a block at a time."""
    numbers = np.array(list(rows_of(features, TRAIN).values()), np.int64)
    for start in range(0, len(numbers), BLOCK_ROWS):
        block = numbers[start : start + BLOCK_ROWS]
        yield block, unit_rows(features.read(TRAIN, block))


def unit_rows(embeddings: np.ndarray) -> np.ndarray:
    """(N,D) rows of length 1, whose products are cosines; rows of zeros stay zeros."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.maximum(lengths, np.finfo(np.float32).tiny)
