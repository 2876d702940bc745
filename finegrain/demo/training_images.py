"""The training images most like a photograph, by the cosine of their embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finegrain.embeddings.nearest import nearest, unit_rows
from finegrain.embeddings.stored import run_embeddings
from finegrain.runs.run_folder import open_run_data


@dataclass(frozen=True)
class Neighbour:
    """A training image near a photograph.

    Attributes:
        path: the file.
        name: of its class.
        similarity: cosine of the two embeddings, -1 to 1.
    """

    path: Path
    name: str
    similarity: float


class TrainingImages:
    """Training images by their embeddings; exact search.

    Args:
        paths: N files.
        names: their N classes.
        embeddings: (N, D) float.
    """

    def __init__(self, paths: Sequence[Path], names: Sequence[str], embeddings: np.ndarray):
        self.paths = list(paths)
        self.names = list(names)
        self._directions = unit_rows(embeddings)

    def nearest(self, embedding: np.ndarray, count: int) -> list[Neighbour]:
        """The `count` most similar images, the most similar first.

        Args:
            embedding: (D,) float.
            count: at least 1; fewer come where there are fewer.
        """
        found = nearest([self._directions], unit_rows(embedding[None]), count)
        return [
            Neighbour(self.paths[row], self.names[row], 1 - float(distance))
            for distance, row in zip(found.distances[0], found.rows[0], strict=True)
        ]


def open_training_images(run_folder: Path, data: Path | None = None) -> TrainingImages:
    """The training images of a run; their embeddings are computed if they are not there yet.

    Args:
        run_folder: a finished run.
        data: where the run's data set stands now, if it has moved.

    Raises:
        UserError: the data set is gone or another.
    """
    folder = open_run_data(run_folder, data).folder
    with run_embeddings(run_folder, data) as features:
        rows = features.splits["train"]
        embeddings = features.read("train", range(len(rows.paths)))
        names = [features.classes[label] for label in rows.labels]
        return TrainingImages([folder / path for path in rows.paths], names, embeddings)
