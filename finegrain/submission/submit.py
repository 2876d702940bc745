"""What every submission script does: runs and a folder of images in, a submission out."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from finegrain.datasets.unlabelled_images import unlabelled_images
from finegrain.errors import UserError
from finegrain.inference.opened import Inference
from finegrain.inference.predict import Predictions, predict_probabilities
from finegrain.runs.answering import PROBABILITIES, open_run
from finegrain.runs.finished_run import FinishedRun, open_finished_run
from finegrain.submission.class_probabilities import ClassProbabilities, check_same_classes, mean_of
from finegrain.submission.submission import (
    KAGGLE_CLIP,
    SampleSubmission,
    check_output,
    check_sample_fits,
    read_sample_submission,
    write_submission,
)
from finegrain.submission.submission_settings import SubmissionSettings
from finegrain.training.resized_run import resized_run

MOST_NAMED_FILES = 20


def open_runs(folders: Sequence[Path], image_size: int | None = None) -> list[FinishedRun]:
    """Open the runs to predict with, of the same classes, and print them.

    Their models take squares of so many pixels; None leaves each its own.
    """
    runs = [resized_run(open_finished_run(folder), image_size) for folder in folders]
    check_same_classes({str(run.folder): run.classes for run in runs})
    for run in runs:
        height, width = run.frame.size
        print(f"run     {run.folder}: {len(run.classes)} classes, {height} x {width} pixels")
    return runs


def submit(settings: SubmissionSettings, runs: Sequence[FinishedRun]) -> None:
    """Predict a folder of images with each run, average, write the submission, say so.

    Everything that can be wrong with the user's files (UserError) is looked at before the first
    model is loaded. An image that cannot be decoded gets the class prior, the share of each class
    among the run's training images, and a warning: leaderboards refuse a short file.
    """
    images = unlabelled_images(settings.images, runs[0].classes)
    print(f"images  {len(images)} in {settings.images}")
    ids = _category_ids(runs)
    sample = None
    if settings.sample_submission is not None:
        sample = read_sample_submission(settings.sample_submission)
        check_sample_fits(settings.format, sample, list(ids.values()) if ids else runs[0].classes)
        images = _asked_for(images, sample)
    check_output(settings.output)
    table = mean_of([_predict_run(run, images, settings, warn=run is runs[0]) for run in runs])
    if ids is not None:
        table = replace(table, classes=[ids[name] for name in table.classes])
    clip = None if ids else KAGGLE_CLIP
    count = write_submission(table, settings.output, settings.format, sample, clip)
    print(f"wrote   {count} rows to {settings.output} in the format {settings.format}")
    if ids is not None:
        print("        the classes go by the category ids of the JSON the data set was made from")
    elif settings.format == "kaggle-label" and len(runs[0].classes) == 2:
        print(f"        the label is the probability of {runs[0].classes[1]}")


def _category_ids(runs: Sequence[FinishedRun]) -> dict[str, str] | None:
    """Class name -> category id of the JSON behind the data set; None where no run knows of one."""
    knowing = [(run, run.category_ids) for run in runs if run.category_ids is not None]
    if not knowing:
        return None
    first_run, first_ids = knowing[0]
    first = dict(zip(first_run.classes, first_ids, strict=True))
    for run, ids in knowing[1:]:
        for name, number in zip(run.classes, ids, strict=True):
            if first[name] != number:
                raise UserError(
                    f"{first_run.folder} and {run.folder} cannot be averaged, the class {name} "
                    f"has the category_id {first[name]} in one and {number} in the other; give "
                    "runs made from the same JSON"
                )
    return first


def _asked_for(images: dict[str, Path], sample: SampleSubmission) -> dict[str, Path]:
    asked = {image_id: images[image_id] for image_id in sample.image_ids(images)}
    if len(asked) < len(images):
        left_out = len(images) - len(asked)
        print(f"notice  left out {left_out} of {len(images)} images that {sample.path} lacks")
    return asked


def _predict_run(
    run: FinishedRun, images: dict[str, Path], settings: SubmissionSettings, warn: bool
) -> ClassProbabilities:
    print(f"predict {len(images)} images{settings.views} with {run.folder}", flush=True)
    paths = list(images.values())
    predictions = predict_probabilities(
        _opened(run, paths, settings),
        paths,
        run.frame,
        settings.batch_size,
        views=settings.views,
        unreadable_row=run.class_counts / np.sum(run.class_counts),
    )
    if not np.isfinite(predictions.probabilities).all():
        raise UserError(
            f"the model of {run.folder} answers with numbers that are not finite, its training "
            "must have diverged; train it again with a smaller learning rate"
        )
    if warn and predictions.unreadable:
        _warn_of_unreadable(predictions)
    return ClassProbabilities(list(images), run.classes, predictions.probabilities)


def _opened(run: FinishedRun, paths: list[Path], settings: SubmissionSettings) -> Inference:
    views, batch_size = len(settings.views), settings.batch_size
    inference = open_run(
        run, paths, settings.openvino, views, PROBABILITIES, batch_size, settings.inference
    )
    print(f"engine  {inference.describe()}", flush=True)
    return inference


def _warn_of_unreadable(predictions: Predictions) -> None:
    count = len(predictions.unreadable)
    print(
        f"warning: cannot read {count} of {len(predictions.paths)} images; "
        "their rows hold the class prior:",
        file=sys.stderr,
    )
    for row, reason in islice(predictions.unreadable.items(), MOST_NAMED_FILES):
        print(f"  {predictions.paths[row].name}: {reason}", file=sys.stderr)
    if count > MOST_NAMED_FILES:
        print(f"  and {count - MOST_NAMED_FILES} more", file=sys.stderr)
