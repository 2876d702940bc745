"""All that a run can say of one photograph, or of two."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from keras import ops, tree

from finegrain.embeddings.nearest import nearest, unit_rows
from finegrain.embeddings.stored import run_embeddings
from finegrain.explain.grad_cam import GradCam, PairCam
from finegrain.explain.pictures import Photograph, lay_over
from finegrain.models.classifier import classifier, representing_model
from finegrain.models.multi_loss import same_class
from finegrain.runs.finished_run import FinishedRun
from finegrain.runs.run_folder import open_run_data


@dataclass(frozen=True)
class Neighbour:
    """A training image near a photograph: its class, and the cosine of the embeddings, -1 to 1."""

    path: Path
    name: str
    similarity: float


class TrainingImages:
    """N training images with the names of their classes and (N, D) embeddings; exact search."""

    def __init__(self, paths: Sequence[Path], names: Sequence[str], embeddings: np.ndarray):
        self.paths, self.names = list(paths), list(names)
        self._directions = unit_rows(embeddings)

    def nearest(self, embedding: np.ndarray, count: int) -> list[Neighbour]:
        """The images most similar to a (D,) embedding, most similar first; at most `count`."""
        found = nearest([self._directions], unit_rows(embedding[None]), count)
        return [
            Neighbour(self.paths[row], self.names[row], 1 - float(distance))
            for distance, row in zip(found.distances[0], found.rows[0], strict=True)
        ]


def open_training_images(run_folder: Path, data: Path | None = None) -> TrainingImages:
    """A finished run's training images; UserError where the data set is gone or another."""
    folder = open_run_data(run_folder, data).folder
    with run_embeddings(run_folder, data) as features:
        rows = features.splits["train"]
        embeddings = features.read("train", range(len(rows.paths)))
        names = [features.classes[label] for label in rows.labels]
        return TrainingImages([folder / path for path in rows.paths], names, embeddings)


@dataclass(frozen=True)
class PairAnswer:
    """Probability of the same class, and pictures of why; both None without a head for pairs."""

    same: float | None
    cosine: float
    overlays: tuple[np.ndarray, np.ndarray] | None
    says_same: bool


class DemoModels:
    """The models that a finished run's answers come from; one thread at a time."""

    def __init__(self, run: FinishedRun, training_images: TrainingImages | None = None):
        model = run.model()
        self.run = run
        self.training_images = training_images
        self._classify = classifier(model)
        self._cam = GradCam(model)
        self._embed = representing_model(model)
        self._same_class = same_class(model) if run.compares_pairs else None
        self._pair_cam = PairCam(model) if run.compares_pairs else None

    def probabilities(self, photo: Photograph) -> np.ndarray:
        """(C,), of the classes."""
        return ops.convert_to_numpy(self._classify(photo.pixels[None], training=False))[0]

    def overlay(self, photo: Photograph, class_index: int) -> np.ndarray:
        """The photograph as shown, coloured by what speaks for a class: (h, w, 3) uint8."""
        return lay_over(photo.shown, self._cam.heat(photo.pixels, class_index))

    def nearest(self, photo: Photograph, count: int) -> list[Neighbour]:
        """The training images most like a photograph."""
        if self.training_images is None:
            return []
        return self.training_images.nearest(self._embedding(photo), count)

    def pair(self, photo_1: Photograph, photo_2: Photograph) -> PairAnswer:
        """Whether two photographs show the same class."""
        first, second = unit_rows(np.stack([self._embedding(photo_1), self._embedding(photo_2)]))
        cosine = float(first @ second)
        if self._same_class is None or self._pair_cam is None:
            return PairAnswer(None, cosine, None, False)
        inputs = [photo_1.pixels[None], photo_2.pixels[None]]
        same = float(ops.convert_to_numpy(self._same_class(inputs, training=False))[0, 1])
        says_same = same >= 0.5
        heats = self._pair_cam.heats(photo_1.pixels, photo_2.pixels, same=says_same)
        overlays = lay_over(photo_1.shown, heats[0]), lay_over(photo_2.shown, heats[1])
        return PairAnswer(same, cosine, overlays, says_same)

    def _embedding(self, photo: Photograph) -> np.ndarray:
        (embedding,) = tree.flatten(self._embed(photo.pixels[None], training=False))
        return ops.convert_to_numpy(embedding)[0]
