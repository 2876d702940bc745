"""One look at each labelled image: its classes for the table, its embedding for comparisons."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finegrain.evaluation.bootstrap import drawn_rows
from finegrain.evaluation.embedding_measures import PAIR_BLOCK, PairScore
from finegrain.evaluation.evaluate import MOST_COMPARED
from finegrain.evaluation.labelled_images import Answered, LabelledImages
from finegrain.frame import Frame
from finegrain.inference.answer_views import PLAIN, AnswerViews, averaged
from finegrain.inference.opened import Inference
from finegrain.inference.openvino_engine import OpenVINOEngine
from finegrain.inference.predict import decoded_batches
from finegrain.runs.answering import keep_answers, open_model, open_run
from finegrain.runs.finished_run import FinishedRun
from finegrain.runs.predictions import TopAnswers, joined_answers, top_answers

if TYPE_CHECKING:
    import keras

BATCH = 32
# Of all embeddings of a split that are kept, 200 MB: what a bilinear head makes of a few images.
MOST_NUMBERS = 50_000_000


def answer_all(
    inference: Inference,
    images: Sequence[LabelledImages],
    frame: Frame,
    batch_size: int = BATCH,
    most_compared: int = MOST_COMPARED,
    views: AnswerViews = PLAIN,
) -> list[Answered]:
    """Let a finished model look at all images of several splits, once or at several views.

    Of the probabilities only what the table takes is kept; of the embeddings those of
    `most_compared` images of a split, drawn by chance, and of fewer where they are so wide that
    these would be more than `MOST_NUMBERS` numbers. Of several views the probabilities are
    averaged; the embeddings are those of the first.

    Args:
        inference: the model as `finegrain.runs.answering` opens it, with both outputs.
        frame: the model's.
    """
    return [_answer(inference, split, frame, batch_size, most_compared, views) for split in images]


def answer_run(
    run: FinishedRun, images: Sequence[LabelledImages], openvino: bool, views: AnswerViews = PLAIN
) -> list[Answered]:
    """`answer_all` of a finished run, by its kept graph where there is one."""
    paths = [path for split in images for path in split.paths]
    if not paths:
        return []
    opened = open_run(run, paths, openvino, len(views))
    if isinstance(opened.compute, OpenVINOEngine):
        print(f"  computing {opened.describe()}", flush=True)
    return answer_all(opened, images, run.frame, views=views)


def answer_model(
    model: "keras.Model",
    images: Sequence[LabelledImages],
    frame: Frame,
    openvino: bool,
    batch_size: int = BATCH,
    most_compared: int = MOST_COMPARED,
    keep_in: Path | None = None,
    always: bool = False,
) -> list[Answered]:
    """`answer_all` of a finished model, on OpenVINO where that is asked for and pays.

    Args:
        keep_in: run folder whose `model.keras` this model is, where its graph is kept.
        always: take OpenVINO for few images too, since a kept graph serves later answers.
    """
    paths = [path for split in images for path in split.paths]
    if not paths:
        return []
    opened = open_model(model, paths, frame, openvino, None if always else len(paths))
    if keep_in is not None:
        keep_answers(keep_in, model, opened)
    if isinstance(opened.compute, OpenVINOEngine):
        print(f"  computing {opened.describe()}", flush=True)
    return answer_all(opened, images, frame, batch_size, most_compared)


def _answer(
    inference: Inference,
    images: LabelledImages,
    frame: Frame,
    batch_size: int,
    most_compared: int,
    views: AnswerViews,
) -> Answered:
    kept = np.zeros(len(images.paths), bool)
    answers: list[TopAnswers] = []
    embeddings: list[np.ndarray] = []
    unreadable: dict[int, str] = {}
    for start, batch, failed in decoded_batches(images.paths, frame, batch_size, views):
        probabilities, below = averaged(inference.run, batch)
        if start == 0:
            kept[drawn_rows(len(kept), min(most_compared, MOST_NUMBERS // below.shape[1]))] = True
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


def same_class_scores(model: "keras.Model") -> PairScore | None:
    """A finished model's probability of "the same class"; None where it has no such head."""
    from finegrain.models.heads.same_class import pair_head

    head = pair_head(model)
    if head is None:
        return None

    def score(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        # Always one shape: a backend compiles each anew.
        missing = PAIR_BLOCK - len(first)
        filled = [np.pad(side, ((0, missing), (0, 0))) for side in (first, second)]
        return np.asarray(head.predict_on_batch(filled))[: len(first), 1]

    return score
