"""What several runs say of labelled images together: their probabilities, averaged."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from finegrain.evaluation.labelled_images import Answered, LabelledImages
from finegrain.inference.answer_views import AnswerViews
from finegrain.inference.predict import predict_probabilities
from finegrain.runs.answering import PROBABILITIES, open_run
from finegrain.runs.finished_run import FinishedRun
from finegrain.runs.predictions import top_answers
from finegrain.submission.class_probabilities import ClassProbabilities, mean_of

BATCH = 32


def answer_averaged(
    runs: Sequence[FinishedRun],
    images: Sequence[LabelledImages],
    views: AnswerViews,
    openvino: bool,
) -> list[Answered]:
    """The mean of several runs' answers, each at its own image size, as a submission takes it.

    The errors of each run, and of their mean, are printed. There are no embeddings.

    Args:
        runs: of the same classes, in any order.
        images: their labels go by the classes of the first run.
    """
    paths = list(chain.from_iterable(split.paths for split in images))
    if not paths:
        return []
    ids, tables = [str(row) for row in range(len(paths))], []
    unreadable: dict[int, str] = {}
    for run in runs:
        opened = open_run(run, paths, openvino, len(views), PROBABILITIES)
        found = predict_probabilities(opened, paths, run.frame, BATCH, views=views)
        unreadable = found.unreadable
        table = ClassProbabilities(ids, run.classes, found.probabilities)
        tables.append(table.with_classes(runs[0].classes))
        _tell(str(run.folder), _answered(images, tables[-1].probabilities, unreadable))
    together = _answered(images, mean_of(tables).probabilities, unreadable)
    _tell(f"{len(runs)} runs averaged", together)
    return together


def _answered(
    images: Sequence[LabelledImages], probabilities: np.ndarray, unreadable: dict[int, str]
) -> list[Answered]:
    """The (N,C) answers, split by split, for what could be read."""
    answered, start = [], 0
    for split in images:
        rows = range(start, start + len(split.paths))
        read = [row - start for row in rows if row not in unreadable]
        sound = LabelledImages(
            split.split,
            [split.paths[place] for place in read],
            [split.names[place] for place in read],
            split.labels[read],
        )
        answers = top_answers(probabilities[start + np.array(read, np.int64)], sound.labels)
        reasons = {split.names[row - start]: unreadable[row] for row in rows if row in unreadable}
        none = np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
        answered.append(Answered(sound, answers, *none, reasons))
        start = rows.stop
    return answered


def _tell(who: str, answered: Sequence[Answered]) -> None:
    errors = ", ".join(
        f"{each.images.split} {(each.answers.true_rank != 1).mean():.4f}"
        for each in answered
        if each.images.paths
    )
    print(f"top-1 error {errors or '-'}: {who}", flush=True)
