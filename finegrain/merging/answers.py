"""What a merged classifier answers for each photograph."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from finegrain.evaluation.metrics import log_loss, top1_error
from finegrain.merging.feature_rows import FeatureRows


@dataclass(frozen=True)
class Answers:
    """Probabilities for photographs, a row each.

    Attributes:
        paths: (N,) str, relative to the data set or folder.
        labels: (N,) class indices, -1 without a label.
        probabilities: (N,C) float32.
    """

    paths: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def log_loss(self) -> float:
        """Without a clip."""
        return log_loss(self.probabilities, self.labels)

    @property
    def top1_error(self) -> float:
        """Share of photographs whose most probable class is not their own."""
        return top1_error(self.probabilities, self.labels)


def answer(model: keras.Model, rows: FeatureRows, names: Sequence[str], classes: int) -> Answers:
    """Answer for rows of embeddings; the views of a photograph are averaged.

    Args:
        model: from `merged_model`.
        rows: of a split, or several.
        names: the model's backbones.
        classes: number of classes C.
    """
    number = {path: place for place, path in enumerate(dict.fromkeys(rows.paths))}
    places = np.array([number[path] for path in rows.paths], np.int64)
    sums = np.zeros((len(number), classes), "float32")
    start = 0
    for embeddings, _ in rows.in_order(names):
        given = probabilities(model, embeddings)
        np.add.at(sums, places[start : start + len(given)], given)
        start += len(given)
    sums /= np.bincount(places, minlength=len(number))[:, None]
    labels = np.empty(len(number), np.int64)
    labels[places] = rows.labels
    return Answers(np.array(list(number), dtype=object), labels, sums)


def probabilities(model: keras.Model, embeddings: dict[str, np.ndarray]) -> np.ndarray:
    """(B,C) probabilities; a sigmoid's one number is that of the second class."""
    given = np.asarray(model.predict_on_batch(embeddings), "float32")
    return np.concatenate([1 - given, given], axis=1) if given.shape[1] == 1 else given
