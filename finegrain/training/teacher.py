"""The teacher: finished runs, asked for training images and for photographs without labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finegrain.datasets.gather import checksum
from finegrain.datasets.manifest import MANIFEST, DataSet, read_manifest
from finegrain.datasets.unlabelled_images import unlabelled_images
from finegrain.errors import UserError
from finegrain.inference.opening import open_inference
from finegrain.inference.predict import predict_probabilities, sample_images
from finegrain.runs.finished_run import FinishedRun, open_finished_run
from finegrain.runs.run_config import RunTeaching
from finegrain.runs.run_folder import MODEL, RunFolder
from finegrain.training.objectives.objective import Objective
from finegrain.training.settings import TrainingSettings
from finegrain.training.teaching import Teaching, read_teaching, teaching_digest


def check_teacher(settings: TrainingSettings, objective: Objective) -> None:
    """Refuse flags of a teacher that do not go together."""
    if settings.pseudo_labels is not None and not settings.teacher:
        raise UserError(
            "--pseudo-labels needs a --teacher: finished runs that guess the labels of the "
            "photographs"
        )
    if settings.teacher_weight and not settings.teacher:
        raise UserError("--teacher-weight needs a --teacher: finished runs of the same classes")
    if settings.teacher and not settings.teacher_weight and settings.pseudo_labels is None:
        raise UserError(
            "--teacher has nothing to teach; add --teacher-weight 0.5 to learn from its answers, "
            "or --pseudo-labels with a folder of unlabelled photographs"
        )
    if settings.run.absolute() in [folder.absolute() for folder in settings.teacher]:
        raise UserError(f"--teacher {settings.run} is the run itself; name a finished one")
    if settings.teacher_weight and objective.learns_pairs:
        raise UserError(
            f"--teacher-weight mixes labels, and {objective.name} compares pairs, which needs "
            "whole ones; train with single_model.py, or let the teacher guess --pseudo-labels only"
        )


def taught_by(settings: TrainingSettings, data: DataSet) -> Teaching | None:
    """What the teacher says, asked once and then read from the run folder; None without one.

    Each of its runs sees the plain image, at its own size; their answers are averaged.

    Raises:
        UserError: a run that cannot teach these classes, no folder of photographs, none among
            them that the teacher is sure of, an image that can no longer be read.
    """
    if not settings.teacher:
        return None
    runs = [_open_teacher(folder, data) for folder in settings.teacher]
    folder = settings.pseudo_labels
    photographs = {} if folder is None else _unlabelled(folder, data)
    models = [checksum(run.folder / MODEL)[0] for run in runs]
    threshold = 0.0 if folder is None else settings.pseudo_threshold
    told: dict[str, Any] = {
        "digest": teaching_digest(models, list(photographs.values()), threshold),
        "runs": [str(run.folder) for run in runs],
        "folder": None if folder is None else str(folder),
    }
    known = read_teaching(settings.run, RunTeaching(**told))
    if known is not None:
        return known
    paths, unlabelled = data.paths("train"), list(photographs)
    answers = _mean_answers(runs, [*paths, *unlabelled], data.classes, settings)
    own, guessed = np.split(answers, [len(paths)])
    _refuse_unanswered(own, paths)
    # A photograph that cannot be read has NaN for an answer, of which nothing is sure.
    sure = np.flatnonzero(guessed.max(axis=1) >= threshold)
    if folder is not None and not len(sure):
        raise UserError(
            f"the teacher is sure of none of the photographs in {folder}; lower "
            f"--pseudo-threshold {threshold:g}"
        )
    chosen = [unlabelled[row] for row in sure]
    return Teaching(
        RunTeaching(**told, images=len(chosen)),
        np.concatenate([own, guessed[sure]]),
        np.array([str(path.absolute()) for path in chosen], np.str_),
        np.array([photographs[path] for path in chosen], np.str_),
    )


def _open_teacher(folder: Path, data: DataSet) -> FinishedRun:
    run = open_finished_run(folder)
    if set(run.classes) != set(data.classes):
        lacks, adds = set(data.classes) - set(run.classes), set(run.classes) - set(data.classes)
        which = f"lacks {min(lacks)}" if lacks else f"adds {min(adds)}"
        raise UserError(
            f"--teacher {folder} tells other classes apart than {data.folder} has: it {which}; "
            "name a run of the same classes"
        )
    if RunFolder.open(folder).config.data.digest != data.digest:
        print(
            f"notice  {folder} was trained on another data set; where that holds held-out images "
            f"of {data.folder}, errors on these flatter"
        )
    return run


def _unlabelled(folder: Path, data: DataSet) -> dict[Path, str]:
    """Photographs to be guessed -> SHA-1: each once, and none that the data set holds."""
    images = unlabelled_images(folder, data.classes, "--pseudo-labels").values()
    manifest = read_manifest(data.folder / MANIFEST)
    split_of = dict(zip(manifest["sha1"], manifest["split"], strict=True))
    found: dict[str, Path] = {}
    held_out = training = 0
    for path in images:
        try:
            sha1, _ = checksum(path)
        except OSError:
            continue
        if sha1 not in split_of:
            found.setdefault(sha1, path)
        elif split_of[sha1] == "train":
            training += 1
        else:
            held_out += 1
    for count, what in ((held_out, "held-out"), (training, "training")):
        if count:
            print(
                f"notice  left out {count} of {len(images)} photographs of {folder}, which are "
                f"{what} images of {data.folder}"
            )
    return {path: sha1 for sha1, path in found.items()}


def _mean_answers(
    runs: Sequence[FinishedRun],
    paths: Sequence[Path],
    classes: Sequence[str],
    settings: TrainingSettings,
) -> np.ndarray:
    """(N, C) float32, the columns in the order of the classes; NaN for what cannot be read."""
    total = np.zeros((len(paths), len(classes)))
    for run in runs:
        print(f"teacher {run.folder} answers for {len(paths)} images", flush=True)
        sample = sample_images(paths, run.frame)
        opened = open_inference(run.classifier(), sample, settings.openvino, len(paths))
        found = predict_probabilities(opened, paths, run.frame, settings.batch_size)
        total += found.probabilities[:, [run.classes.index(name) for name in classes]]
    return (total / len(runs)).astype("float32")


def _refuse_unanswered(answers: np.ndarray, paths: Sequence[Path]) -> None:
    silent = np.flatnonzero(~np.isfinite(answers).all(axis=1))
    if len(silent):
        raise UserError(
            f"the teacher has no answer for {len(silent)} training images, the first is "
            f"{paths[silent[0]]}: it can no longer be read, or the teacher's training diverged"
        )
