"""One look at each labelled image: its classes for the table, its embedding for comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from finegrain.errors import UserError
from finegrain.inference.inference import Inference, open_inference
from finegrain.inference.keras_engine import KerasEngine
from finegrain.inference.predict import decoded_batches, sample_images
from finegrain.models.classifier import representation
from finegrain.models.full_precision import in_full_precision
from finegrain.models.heads.category import CATEGORY
from finegrain.runs.predictions import TopAnswers, joined_answers, prediction_rows, top_answers

# Embeddings are kept of so many images a split at most: 160 MB for Xception.
MOST_COMPARED = 20_000
BATCH = 32


@dataclass(frozen=True)
class LabelledImages:
    """Images whose class is known.

    Attributes:
        split: what they are called in the table.
        paths: N files.
        names: N paths relative to their folder, with `/`.
        labels: (N,) class indices.
    """

    split: str
    paths: Sequence[Path]
    names: Sequence[str]
    labels: np.ndarray


@dataclass(frozen=True)
class Answered:
    """What a model said of labelled images that could be read.

    Attributes:
        images: those.
        answers: one an image.
        compared: (M,) rows of the images that have an embedding here: all, or 20,000 of them
            drawn by chance.
        embeddings: (M, D) float32.
        unreadable: the images that were left out: name -> reason.
    """

    images: LabelledImages
    answers: TopAnswers
    compared: np.ndarray
    embeddings: np.ndarray
    unreadable: dict[str, str]

    def rows(self, classes: list[str]) -> pd.DataFrame:
        """Their rows for predictions.csv."""
        images = self.images
        return prediction_rows(images.names, images.split, images.labels, self.answers, classes)


def answering_model(model: keras.Model) -> keras.Model:
    """`image` (B, H, W, 3) -> probabilities (B, C) and what stands for an image, (B, D).

    The second is that of the layer `representation` names.
    """
    below = model.get_layer(representation(model)).output
    outputs = [model.get_layer(CATEGORY).output, below]
    return keras.Model(model.get_layer("image").output, outputs, name="answering")


def open_answering(
    model: keras.Model, paths: Sequence[Path], image_size: tuple[int, int], openvino: bool
) -> Inference:
    """Open a finished model to answer these files, as it will be used: in full precision."""
    answering = answering_model(model)
    if model.dtype_policy.compute_dtype != "float32":
        answering = in_full_precision(answering)
    opened = open_inference(answering, sample_images(paths, image_size), openvino, len(paths))
    if not isinstance(opened.compute, KerasEngine):
        print(f"  computing {opened.describe()}", flush=True)
    return opened


def answer_images(
    inference: Inference,
    images: LabelledImages,
    image_size: tuple[int, int],
    batch_size: int = BATCH,
    most_compared: int = MOST_COMPARED,
) -> Answered:
    """Let a model answer; of its probabilities only what the table takes is kept.

    Args:
        inference: from `open_answering`.
        images: at least one.
        image_size: (height, width) in pixels.
        batch_size: images a step.
        most_compared: keep the embeddings of so many images.
    """
    count = len(images.paths)
    kept = np.ones(count, bool)
    if count > most_compared:
        kept[:] = False
        kept[np.random.default_rng(0).choice(count, most_compared, replace=False)] = True
    answers: list[TopAnswers] = []
    embeddings: list[np.ndarray] = []
    unreadable: dict[int, str] = {}
    for start, batch, failed in decoded_batches(images.paths, image_size, batch_size):
        probabilities, below = inference.run(batch)
        read = np.array([start + place not in failed for place in range(len(batch))])
        rows = np.arange(start, start + len(batch))[read]
        answers.append(top_answers(probabilities[read], images.labels[rows]))
        embeddings.append(below[read][kept[rows]])
        unreadable |= failed
    rows = np.setdiff1d(np.arange(count), list(unreadable))
    return Answered(
        LabelledImages(
            images.split,
            [images.paths[row] for row in rows],
            [images.names[row] for row in rows],
            images.labels[rows],
        ),
        joined_answers(answers),
        np.flatnonzero(kept[rows]),
        np.concatenate(embeddings),
        {images.names[row]: reason for row, reason in unreadable.items()},
    )


def split_error(answered: Answered) -> float:
    """Top-1 error over the images; one without an answer that is a number counts as wrong.

    Raises:
        UserError: an image could not be read.
    """
    if answered.unreadable:
        name, reason = next(iter(answered.unreadable.items()))
        raise UserError(
            f"{name} can no longer be read ({reason}); put it back, or make the data set again "
            "with img2keras.py"
        )
    return float((answered.answers.true_rank != 1).mean())
