"""One look at each labelled image: its classes for the table, its embedding for comparisons."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import keras
import numpy as np

from finegrain.evaluation.bootstrap import drawn_rows
from finegrain.evaluation.embedding_measures import PAIR_BLOCK, PairScore
from finegrain.evaluation.evaluate import MOST_COMPARED
from finegrain.evaluation.labelled_images import Answered, LabelledImages
from finegrain.frame import Frame
from finegrain.inference.answer_views import PLAIN, AnswerViews, averaged
from finegrain.inference.engines import KerasEngine
from finegrain.inference.opening import Inference, open_inference
from finegrain.inference.predict import decoded_batches, sample_images
from finegrain.models.classifier import representation
from finegrain.models.heads.category import CATEGORY
from finegrain.models.heads.same_class import pair_head
from finegrain.models.model_precision import in_full_precision
from finegrain.runs.predictions import TopAnswers, joined_answers, top_answers

BATCH = 32
# Of all embeddings of a split that are kept, 200 MB: what a bilinear head makes of a few images.
MOST_NUMBERS = 50_000_000


def answering_model(model: keras.Model) -> keras.Model:
    """`image` (B, H, W, 3) -> probabilities (B, C) and its `representation`, (B, D)."""
    below = model.get_layer(representation(model)).output
    outputs = [model.get_layer(CATEGORY).output, below]
    return keras.Model(model.get_layer("image").output, outputs, name="answering")


def answer_all(
    model: keras.Model,
    images: Sequence[LabelledImages],
    frame: Frame,
    openvino: bool,
    batch_size: int = BATCH,
    most_compared: int = MOST_COMPARED,
    views: AnswerViews = PLAIN,
) -> list[Answered]:
    """Let a finished model look at all images of several splits, once or at several views.

    It answers as it will be used, in full precision, and on OpenVINO where that is asked for and
    pays. Of the probabilities only what the table takes is kept; of the embeddings those of
    `most_compared` images of a split, drawn by chance, and of fewer where they are so wide that
    these would be more than `MOST_NUMBERS` numbers. Of several views the probabilities are
    averaged; the embeddings are those of the first.
    """
    paths = list(chain.from_iterable(split.paths for split in images))
    if not paths:
        return []
    opened = _open_answering(model, paths, frame, openvino, views)
    width = model.get_layer(representation(model)).output.shape[-1]
    most_compared = min(most_compared, MOST_NUMBERS // width)
    return [_answer(opened, split, frame, batch_size, most_compared, views) for split in images]


def _open_answering(
    model: keras.Model,
    paths: Sequence[Path],
    frame: Frame,
    openvino: bool,
    views: AnswerViews,
) -> Inference:
    answering = answering_model(model)
    if model.dtype_policy.compute_dtype != "float32":
        answering = in_full_precision(answering)
    sample, expected = sample_images(paths, frame), len(paths) * len(views)
    opened = open_inference(answering, sample, openvino, expected)
    if not isinstance(opened.compute, KerasEngine):
        print(f"  computing {opened.describe()}", flush=True)
    return opened


def _answer(
    inference: Inference,
    images: LabelledImages,
    frame: Frame,
    batch_size: int,
    most_compared: int,
    views: AnswerViews,
) -> Answered:
    kept = np.zeros(len(images.paths), bool)
    kept[drawn_rows(len(kept), most_compared)] = True
    answers: list[TopAnswers] = []
    embeddings: list[np.ndarray] = []
    unreadable: dict[int, str] = {}
    for start, batch, failed in decoded_batches(images.paths, frame, batch_size, views):
        probabilities, below = averaged(inference.run, batch)
        read = np.array([start + place not in failed for place in range(len(below))])
        rows = np.arange(start, start + len(below))[read]
        answers.append(top_answers(probabilities[read], images.labels[rows]))
        embeddings.append(below[read][kept[rows]])
        unreadable |= failed
    rows = np.setdiff1d(np.arange(len(kept)), list(unreadable))
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


def same_class_scores(model: keras.Model) -> PairScore | None:
    """A finished model's probability of "the same class"; None where it has no such head."""
    head = pair_head(model)
    if head is None:
        return None

    def score(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        # Always one shape: a backend compiles each anew.
        missing = PAIR_BLOCK - len(first)
        filled = [np.pad(side, ((0, missing), (0, 0))) for side in (first, second)]
        return np.asarray(head.predict_on_batch(filled))[: len(first), 1]

    return score
