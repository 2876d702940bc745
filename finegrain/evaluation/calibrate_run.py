"""Put a temperature into a run's model, or take it out again, and measure what it did."""

import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from finegrain.errors import UserError
from finegrain.evaluation.answer_images import answer_model, same_class_scores
from finegrain.evaluation.class_measures import calibration_error
from finegrain.evaluation.evaluation_file import About, write_answers
from finegrain.evaluation.labelled_images import VALID, Answered, held_out_images
from finegrain.evaluation.metrics import log_losses
from finegrain.evaluation.temperature import (
    answers_from_embeddings,
    divide_logits,
    fit_temperature,
    head_weights,
    model_temperature,
    replace_model,
)
from finegrain.regular_file import file_digest
from finegrain.runs.finished_run import FinishedRun, open_finished_run
from finegrain.runs.predictions import TopAnswers
from finegrain.runs.run_folder import MODEL, RunFolder, open_run_data, read_results

# A change of the temperature below this is no change.
NOTHING = 1e-3
FEW = 100


def calibrate_run(
    run_folder: Path, moved_to: Path | None = None, undo: bool = False, openvino: bool = True
) -> None:
    """Rewrite a run's model with a temperature fitted on its validation images, or without one.

    predictions.csv and evaluation.json are written anew, from the same look at the images.
    UserError for no such run or data set, no validation images, no temperature that fits, or
    nothing to undo.
    """
    run = open_finished_run(run_folder)
    digest = file_digest(run_folder / MODEL)
    inside = model_temperature(run_folder, digest)
    if undo and inside == 1:
        raise UserError(f"the model of {run_folder} has no temperature; there is nothing to undo")
    data = open_run_data(run_folder, moved_to)
    images = held_out_images(data)
    if not undo and VALID not in data.splits:
        raise UserError(
            f"{data.folder} has no validation images, on which a temperature is fitted; make the "
            "data set with some, with img2keras.py, and train on that"
        )
    model = run.model()
    # All embeddings are kept: from them the calibrated answers follow without a second look.
    most = max((len(split.paths) for split in images), default=0)
    before = answer_model(model, images, run.frame, openvino, most_compared=most)
    factor = 1 / inside if undo else _fitted(model, before)
    changes, total = abs(factor - 1) > NOTHING, inside
    if changes:
        divide_logits(model, factor)
        total = inside * factor
    kept = 1.0 if undo else total
    # Even where nothing changes: a call that was killed after it had put the temperature in is
    # called again, and its answers shall be the same to the last digit.
    head, after = head_weights(model), []
    for was in before:
        answers = answers_from_embeddings(was.embeddings, *head, was.images.labels)
        after.append(replace(was, answers=answers))
        print(_line(was, after[-1], fitted_on=not undo))
    if changes:
        digest = replace_model(run_folder, model, kept)
    model_from = read_results(RunFolder.open(run_folder))["model_from"]
    about = About(run_folder, model_from, kept, digest, data.folder, data.digest)
    write_answers(run_folder, after, run.classes, same_class_scores(model), about)
    print(_closing(run, changes, undo, inside, total))


def _fitted(model: keras.Model, answered: list[Answered]) -> float:
    valid = next(split for split in answered if split.images.split == VALID)
    embeddings, labels = valid.embeddings, valid.images.labels
    if not len(labels):
        raise UserError("none of the run's validation images can be read; put them back")
    if not np.isfinite(embeddings).all():
        raise UserError(
            "the model's embeddings are no finite numbers, its training must have diverged; train "
            "it again with a smaller learning rate"
        )
    if len(labels) < FEW:
        print(
            f"warning: {len(labels)} validation images are few to fit a temperature on",
            file=sys.stderr,
        )
    return fit_temperature(embeddings, *head_weights(model), labels)


def _line(before: Answered, after: Answered, fitted_on: bool) -> str:
    errors = [_calibration_error(answered.answers) for answered in (before, after)]
    losses = [log_losses(answered.answers.true_probability).mean() for answered in (before, after)]
    split = before.images.split
    hint = "; fitted on these" if split == VALID and fitted_on else ""
    return (
        f"{split:<7} calibration error {errors[0]:.4f} -> {errors[1]:.4f}, log loss "
        f"{losses[0]:.4f} -> {losses[1]:.4f}  ({len(before.images.labels)} images{hint})"
    )


def _calibration_error(answers: TopAnswers) -> float:
    sound = answers.true_rank > 0
    if not sound.any():
        return float("nan")
    return calibration_error(answers.probabilities[sound, 0], answers.true_rank[sound] == 1)[0]


def _closing(run: FinishedRun, changes: bool, undo: bool, inside: float, total: float) -> str:
    model = run.folder / MODEL
    if undo:
        return f"the temperature {inside:.4f} is taken out of {model} again"
    if not changes:
        return f"{model} needs no change: its temperature is {inside:.4f} already"
    return f"temperature {total:.4f} is now inside {model}; --undo takes it out again"
