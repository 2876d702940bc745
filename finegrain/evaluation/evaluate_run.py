"""Look at labelled images with a model, and write what came of it into a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from finegrain.evaluation.answer_images import (
    BATCH,
    MOST_COMPARED,
    Answered,
    LabelledImages,
    answer_images,
    open_answering,
)
from finegrain.evaluation.bootstrap import PERCENTILES, RESAMPLES
from finegrain.evaluation.calibrated_model import file_digest
from finegrain.evaluation.evaluate import Compared, PairScore, evaluate_split
from finegrain.evaluation.evaluation_file import EVALUATION, write_evaluation
from finegrain.runs.predictions import (
    COLUMNS,
    PREDICTIONS,
    read_sound_predictions,
    write_predictions,
)

VALID = "valid"


@dataclass(frozen=True)
class About:
    """What is judged, for evaluation.json.

    Attributes:
        run: the run's folder.
        model_from: the stage that model.keras is from.
        temperature: inside the model, 1 if none.
        model_digest: SHA-256 of model.keras.
        data: folder of the images.
        data_digest: of the data set; None for a folder that is none.
    """

    run: Path
    model_from: str | None
    temperature: float
    model_digest: str
    data: Path
    data_digest: str | None


def answer_all(
    model: keras.Model,
    images: Sequence[LabelledImages],
    image_size: tuple[int, int],
    openvino: bool,
    batch_size: int = BATCH,
    most_compared: int = MOST_COMPARED,
) -> list[Answered]:
    """Let a finished model look once at all images of several splits; none for no splits."""
    paths = list(chain.from_iterable(some.paths for some in images))
    if not paths:
        return []
    opened = open_answering(model, paths, image_size, openvino)
    return [answer_images(opened, some, image_size, batch_size, most_compared) for some in images]


def write_answers(
    folder: Path,
    answered: Sequence[Answered],
    classes: list[str],
    same_class: PairScore | None,
    about: About,
) -> dict[str, Any]:
    """Write predictions.csv, and evaluation.json, which is computed from it and the embeddings.

    Args:
        folder: where to.
        answered: of each split, none where there are no labelled images.
        classes: class names in index order.
        same_class: from `same_class_scores`.
        about: what is judged.

    Returns:
        What evaluation.json holds: `run`, `model_from`, `temperature`, `data`, `digests`,
        `bootstrap`, `missing` (split -> why it is not there) and `splits`, see `evaluate_split`.
    """
    path = folder / PREDICTIONS
    tables = [some.rows(classes) for some in answered]
    write_predictions(path, pd.concat(tables) if tables else pd.DataFrame(columns=COLUMNS))
    rows, _ = read_sound_predictions(path)
    splits = {}
    for some in answered:
        split = some.images.split
        of_split = rows[rows["split"] == split].reset_index(drop=True)
        splits[split] = evaluate_split(
            of_split, classes, _compared(some, same_class), _left_out(some)
        )
    evaluation = {
        "run": str(about.run),
        "model_from": about.model_from,
        "temperature": about.temperature,
        "data": str(about.data),
        "digests": {
            "model": about.model_digest,
            "predictions": file_digest(path),
            "data": about.data_digest,
        },
        "bootstrap": {"resamples": RESAMPLES, "percentiles": list(PERCENTILES)},
        "missing": _missing(splits),
        "splits": splits,
    }
    write_evaluation(folder / EVALUATION, evaluation)
    return evaluation


def _compared(answered: Answered, same_class: PairScore | None) -> Compared:
    rows, embeddings = answered.compared, answered.embeddings
    if len(rows) > MOST_COMPARED:
        drawn = np.random.default_rng(0).choice(len(rows), MOST_COMPARED, replace=False)
        rows, embeddings = rows[np.sort(drawn)], embeddings[np.sort(drawn)]
    labels = answered.images.labels
    return Compared(embeddings, labels[rows], same_class, len(labels))


def _left_out(answered: Answered) -> list[str]:
    notes = []
    if answered.unreadable:
        name, reason = next(iter(answered.unreadable.items()))
        notes.append(
            f"{len(answered.unreadable)} images could not be read and are left out, the first is "
            f"{name} ({reason})"
        )
    silent = np.flatnonzero(answered.answers.true_rank == 0)
    if len(silent):
        notes.append(
            f"{len(silent)} images are left out because the model's answer is no number, the "
            f"first is {answered.images.names[silent[0]]}; its training must have diverged"
        )
    return notes


def _missing(splits: dict[str, Any]) -> dict[str, str]:
    if splits:
        # Of a data set without validation images; a labelled folder has but one part.
        held_out = "test" in splits and VALID not in splits
        return {VALID: "the data set has no validation images"} if held_out else {}
    return {VALID: "the data set has no validation images, and no test images either"}
