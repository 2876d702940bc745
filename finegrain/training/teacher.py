"""What a teacher says of training images, and of photographs without labels: asked once."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from finegrain.datasets.gather import ENOUGH_PIXELS, checksum
from finegrain.datasets.manifest import MANIFEST, DataSet, read_manifest
from finegrain.datasets.unlabelled_images import unlabelled_images
from finegrain.decode import UnreadableImage, open_rgb
from finegrain.errors import UserError
from finegrain.runs.run_config import RunTeaching
from finegrain.training.objectives.objective import Objective
from finegrain.training.settings import TrainingSettings
from finegrain.training.teacher_sources import open_teacher
from finegrain.training.teaching import Teaching, read_teaching, teaching_digest


def check_teacher(settings: TrainingSettings, objective: Objective) -> None:
    """Refuse flags of a teacher that do not go together."""
    if settings.pseudo_labels is not None and not settings.teacher:
        raise UserError(
            "--pseudo-labels needs a --teacher: finished runs, or files of probabilities, that "
            "guess the labels of the photographs"
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

    The answers of its runs and files are averaged. Training images are asked for only where their
    labels are mixed.

    Raises:
        UserError: a run or file that cannot teach these classes, no folder of photographs, none
            among them that the teacher is sure of, an image that can no longer be read.
    """
    if not settings.teacher:
        return None
    openvino, batch_size = settings.openvino, settings.batch_size
    sources = [open_teacher(path, data, openvino, batch_size) for path in settings.teacher]
    folder = settings.pseudo_labels
    photographs = [] if folder is None else _unlabelled(folder, data)
    paths = data.paths("train") if settings.teacher_weight else []
    depends_on = {
        "sources": [source.digest for source in sources],
        "own": len(paths),
        "photographs": [photograph.sha1 for photograph in photographs],
        "threshold": settings.pseudo_threshold if photographs else None,
    }
    about = RunTeaching(
        digest=teaching_digest(depends_on),
        runs=[str(path) for path in settings.teacher],
        folder=None if folder is None else str(folder),
    )
    known = read_teaching(settings.run, about)
    if known is not None:
        return known
    images = [(path.stem, path) for path in paths]
    images += [(photograph.image_id, photograph.path) for photograph in photographs]
    total = sum((source.answers(images) for source in sources), np.zeros(len(data.classes)))
    own, guessed = np.split((total / len(sources)).astype("float32"), [len(paths)])
    _refuse_unanswered(own, paths)
    # A run has no answer for a photograph that cannot be read, a file may have the class prior.
    sure = [
        row
        for row in np.flatnonzero(guessed.max(axis=1) >= settings.pseudo_threshold)
        if _can_be_read(photographs[row].path)
    ]
    if folder is not None and not sure:
        raise UserError(
            f"the teacher is sure of none of the photographs in {folder}; lower "
            f"--pseudo-threshold {settings.pseudo_threshold:g}"
        )
    chosen = [photographs[row] for row in sure]
    return Teaching(
        about.model_copy(update={"images": len(chosen)}),
        np.concatenate([own, guessed[sure]]),
        np.array([str(photograph.path.absolute()) for photograph in chosen], np.str_),
        np.array([photograph.sha1 for photograph in chosen], np.str_),
    )


class _Photograph(NamedTuple):
    image_id: str
    path: Path
    sha1: str


def _unlabelled(folder: Path, data: DataSet) -> list[_Photograph]:
    """Photographs to be guessed: each once, and none that the data set holds."""
    images = unlabelled_images(folder, data.classes, "--pseudo-labels")
    manifest = read_manifest(data.folder / MANIFEST)
    split_of = dict(zip(manifest["sha1"], manifest["split"], strict=True))
    found: dict[str, _Photograph] = {}
    held_out = training = 0
    for image_id, path in images.items():
        try:
            sha1, _ = checksum(path)
        except OSError:
            continue
        if sha1 not in split_of:
            found.setdefault(sha1, _Photograph(image_id, path, sha1))
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
    if not found:
        raise UserError(
            f"{folder} holds no photograph that {data.folder} lacks; --pseudo-labels takes the "
            "photographs of a leaderboard"
        )
    return list(found.values())


def _can_be_read(path: Path) -> bool:
    try:
        open_rgb(path, at_least=ENOUGH_PIXELS)
    except UnreadableImage:
        return False
    return True


def _refuse_unanswered(answers: np.ndarray, paths: Sequence[Path]) -> None:
    silent = np.flatnonzero(~np.isfinite(answers).all(axis=1))
    if len(silent):
        raise UserError(
            f"the teacher has no answer for {len(silent)} training images, the first is "
            f"{paths[silent[0]]}: it can no longer be read, or the teacher's training diverged"
        )
