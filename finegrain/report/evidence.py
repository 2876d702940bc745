"""What the model itself adds to its answers: where it looks, and what it finds alike."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from finegrain.datasets.manifest import DataSet
from finegrain.decode import UnreadableImage, open_rgb, read_pixels
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.stored import EMBEDDINGS, run_embeddings
from finegrain.errors import UserError
from finegrain.evaluation.answers import Answers
from finegrain.explain.pictures import lay_over
from finegrain.frame import Frame
from finegrain.quiet import load_keras
from finegrain.report.neighbours import (
    Copy,
    Neighbour,
    equal_files,
    like_pictures,
    nearest_training,
    without_repeats,
)
from finegrain.report.photographs import Photographs, Picture, fitted, jpeg_address
from finegrain.report.run_record import RunRecord
from finegrain.runs.predictions import NO_CLASS
from finegrain.runs.run_folder import open_run_data

BATCH = 8
NEIGHBOURS = 5

# A photograph's path and the class asked about.
Question = tuple[str, int]


@dataclass
class Evidence:
    """Pictures and neighbours of some rows, and copies across the split."""

    attention: dict[Question, Picture] = field(default_factory=dict)
    nearest: dict[str, list[Neighbour]] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    looked_for_copies: str = ""  # how; empty if not at all


def gather_evidence(
    record: RunRecord,
    answers: Answers,
    looked_at: Iterable[int],
    compared: np.ndarray,
    most_embedded: int,
) -> Evidence:
    """Ask the model of a run about some answers; what it cannot tell is noted in the record.

    Grad-CAM is drawn for the rows `looked_at`, training photographs like them are found for those
    `compared`. Embeddings of more than `most_embedded` photographs are used only if stored.
    """
    evidence, data_set = Evidence(), None
    try:
        data_set = open_run_data(record.folder, record.data)
        evidence.copies = equal_files(data_set.table, record.split)
        evidence.looked_for_copies = "files that are equal byte for byte"
    except UserError as error:
        record.notes.append(f"The data set cannot be used: {error}.")
    if record.model_file.is_file():
        evidence.attention = _attention(record, questions_of(answers, looked_at))
        try:
            features = _features(record, data_set, most_embedded)
            if features is not None:
                with features:
                    _compare(evidence, features, record, answers.paths[compared].tolist())
        except UserError as error:
            record.notes.append(f"Nearest training photographs are missing: {error}.")
    return evidence


def questions_of(answers: Answers, rows: Iterable[int]) -> dict[Question, str]:
    """What to ask Grad-CAM of each row: the answer, and the class that it should or might be."""
    questions = {}
    for row in rows:
        second = answers.top[row, 1] if answers.right[row] else answers.labels[row]
        for label in (int(answers.predicted[row]), int(second)):
            if label != NO_CLASS:
                questions[answers.paths[row], label] = f"what speaks for {answers.classes[label]}"
    return questions


def _attention(record: RunRecord, questions: dict[Question, str]) -> dict[Question, Picture]:
    load_keras()
    from finegrain.explain.grad_cam import GradCam
    from finegrain.runs.finished_run import open_finished_run

    pictures, waiting = {}, list(questions)
    try:
        run = open_finished_run(record.folder)
        cam, frame = GradCam(run.model()), run.frame
        for start in range(0, len(waiting), BATCH):
            pixels = {}
            for path, label in waiting[start : start + BATCH]:
                # There is no picture of a photograph that cannot be read.
                with contextlib.suppress(UnreadableImage, ValueError):
                    file = record.photographs.file(path)
                    pixels[path, label] = read_pixels(file, frame)
            if not pixels:
                continue
            heats = cam.heats(np.stack(list(pixels.values())), [label for _, label in pixels])
            for question, heat in zip(pixels, heats, strict=True):
                alt = questions[question]
                pictures[question] = _laid_over(record.photographs, question[0], frame, heat, alt)
    except (UserError, ValueError) as error:
        record.notes.append(f"Grad-CAM is missing: {error}.")
        return {}
    return pictures


def _laid_over(
    photographs: Photographs, path: str, frame: Frame, heat: np.ndarray, alt: str
) -> Picture:
    side = photographs.side
    image = open_rgb(photographs.file(path), at_least=(side, side))
    small = image.resize(fitted(image.size, side), Image.Resampling.BOX, reducing_gap=2.0)
    overlay = lay_over(np.asarray(frame.shown(small)), heat)
    return Picture(alt, jpeg_address(Image.fromarray(overlay), side))


def _features(record: RunRecord, data_set: DataSet | None, most: int) -> FeatureFile | None:
    count = None if data_set is None else len(data_set.table)
    if (record.folder / EMBEDDINGS).is_file() or (count is not None and count <= most):
        return run_embeddings(record.folder, record.data)
    if count is not None:
        record.notes.append(
            "Nearest training photographs and nearly equal pictures are missing: embeddings "
            f"of all {count} photographs would have to be computed; ask for them with "
            f"--most-embedded {count}."
        )
    return None


def _compare(
    evidence: Evidence, features: FeatureFile, record: RunRecord, paths: Sequence[str]
) -> None:
    evidence.nearest = nearest_training(features, record.split, paths, NEIGHBOURS)
    found = like_pictures(features, record.split, record.photographs)
    evidence.copies = without_repeats([*evidence.copies, *found])
    evidence.looked_for_copies = (
        "equal files, and nearly equal or mirrored pictures among those that the model finds most "
        "alike"
    )
