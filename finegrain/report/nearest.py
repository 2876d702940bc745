"""The training photographs that a model finds most like others."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.nearest import nearest, unit_rows

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
    found = nearest((embeddings for _, embeddings in training_blocks(features)), queries, count)
    train, plain = features.splits[TRAIN], list(rows_of(features, TRAIN).values())
    return {
        path: [
            Neighbour(str(train.paths[plain[row]]), int(train.labels[plain[row]]), 1 - float(far))
            for far, row in zip(distances, rows, strict=True)
        ]
        for path, distances, rows in zip(asked, *found, strict=True)
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
