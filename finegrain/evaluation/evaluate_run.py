"""Write what came of a model's look at labelled images into a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from finegrain.evaluation.answer_images import same_class_scores
from finegrain.evaluation.bootstrap import PERCENTILES, RESAMPLES
from finegrain.evaluation.evaluate import evaluate_split
from finegrain.evaluation.evaluation_file import EVALUATION, write_evaluation
from finegrain.evaluation.labelled_images import TEST, VALID, Answered
from finegrain.evaluation.temperature import file_digest
from finegrain.runs.predictions import (
    COLUMNS,
    PREDICTIONS,
    read_sound_predictions,
    write_predictions,
)


@dataclass(frozen=True)
class About:
    """What is judged, for evaluation.json: a run's model and a folder of images."""

    run: Path
    # the stage that model.keras is from
    model_from: str | None
    # inside the model, 1 if none
    temperature: float
    # SHA-256 of model.keras
    model_digest: str
    data: Path
    # of the data set; None for a folder that is none
    data_digest: str | None


def write_answers(
    folder: Path, model: keras.Model, answered: Sequence[Answered], classes: list[str], about: About
) -> dict[str, Any]:
    """Write predictions.csv, and evaluation.json, which is computed from it and the embeddings.

    The model is asked which pairs of embeddings are of one class. Gives what evaluation.json
    holds: `missing` is split -> why it is not there; each of `splits` comes from `evaluate_split`.
    """
    path = folder / PREDICTIONS
    tables = [split.rows(classes) for split in answered]
    write_predictions(path, pd.concat(tables) if tables else pd.DataFrame(columns=COLUMNS))
    rows, _ = read_sound_predictions(path)
    same_class, splits = same_class_scores(model), {}
    for each in answered:
        split = each.images.split
        of_split = rows[rows["split"] == split].reset_index(drop=True)
        splits[split] = evaluate_split(of_split, classes, each, same_class)
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


def _missing(splits: dict[str, Any]) -> dict[str, str]:
    if splits:
        # Of a data set without validation images; a labelled folder has but one part.
        held_out = TEST in splits and VALID not in splits
        return {VALID: "the data set has no validation images"} if held_out else {}
    return {VALID: "the data set has no validation images, and no test images either"}
