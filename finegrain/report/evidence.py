"""What the model itself adds to its answers: where it looks, and what it finds alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finegrain.datasets.manifest import DataSet
from finegrain.embeddings.feature_file import FeatureFile
from finegrain.embeddings.stored import EMBEDDINGS, run_embeddings
from finegrain.errors import UserError
from finegrain.report.attention import Question, attention_pictures
from finegrain.report.cases import NEIGHBOURS, questions_of
from finegrain.report.copies import Copy, equal_files, like_pictures, without_repeats
from finegrain.report.nearest import Neighbour, nearest_training
from finegrain.report.photographs import Photographs, Picture
from finegrain.report.run_record import RunRecord
from finegrain.runs.run_folder import open_run_data


@dataclass
class Evidence:
    """Pictures and neighbours of some rows, and copies across the split.

    Attributes:
        attention: see `attention_pictures`.
        nearest: see `nearest_training`.
        copies: held-out photographs with their copies in the training set.
        looked_for_copies: how; empty if not at all.
    """

    attention: dict[Question, Picture] = field(default_factory=dict)
    nearest: dict[str, list[Neighbour]] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    looked_for_copies: str = ""


def gather_evidence(
    record: RunRecord,
    photographs: Photographs,
    looked_at: Iterable[int],
    compared: Iterable[int],
    data: Path | None,
    most_embedded: int,
) -> Evidence:
    """Ask the model about some answers; what it cannot tell is noted in the record.

    Args:
        record: of the run; without answers there is nothing to ask of.
        photographs: of its data set.
        looked_at: rows of the answers to draw Grad-CAM for.
        compared: rows of the answers to look for training photographs like them.
        data: where the data set stands now, if it has moved.
        most_embedded: embeddings of a data set with more photographs are used only if stored.
    """
    evidence = Evidence()
    if record.answers is None:
        return evidence
    data_set = _open(record, data)
    if data_set is not None:
        evidence.copies = equal_files(data_set.table, record.split)
        evidence.looked_for_copies = "files that are equal byte for byte"
    if record.model_file.is_file():
        questions = questions_of(record.answers, looked_at, record.classes)
        evidence.attention = _attention(record, photographs, questions)
        features = _features(record, data, data_set, most_embedded)
        if features is not None:
            with features:
                paths = [record.answers.paths[row] for row in compared]
                _compare(evidence, features, record, photographs, paths)
    return evidence


def _compare(
    evidence: Evidence,
    features: FeatureFile,
    record: RunRecord,
    photographs: Photographs,
    paths: Sequence[str],
) -> None:
    try:
        evidence.nearest = nearest_training(features, record.split, paths, NEIGHBOURS)
        found = like_pictures(features, record.split, photographs)
    except UserError as error:
        record.notes.append(f"Nearest training photographs are missing: {error}.")
        return
    evidence.copies = without_repeats([*evidence.copies, *found])
    evidence.looked_for_copies = (
        "equal files, and nearly equal or mirrored pictures among those that the model finds most "
        "alike"
    )


def _open(record: RunRecord, data: Path | None) -> DataSet | None:
    try:
        return open_run_data(record.folder, data)
    except UserError as error:
        record.notes.append(f"The data set cannot be used: {error}.")
        return None


def _attention(
    record: RunRecord, photographs: Photographs, questions: dict[Question, str]
) -> dict[Question, Picture]:
    from finegrain.explain.grad_cam import GradCam
    from finegrain.runs.finished_run import open_finished_run

    try:
        cam = GradCam(open_finished_run(record.folder).model())
        return attention_pictures(cam.heats, cam.image_size, photographs, questions)
    except (UserError, ValueError) as error:
        record.notes.append(f"Grad-CAM is missing: {error}.")
        return {}


def _features(
    record: RunRecord, data: Path | None, data_set: DataSet | None, most: int
) -> FeatureFile | None:
    is_stored = (record.folder / EMBEDDINGS).is_file()
    count = 0 if data_set is None else len(data_set.table)
    if not is_stored and (data_set is None or count > most):
        if data_set is not None:
            record.notes.append(
                f"Nearest training photographs and nearly equal pictures are missing: embeddings "
                f"of all {count} photographs would have to be computed; ask for them with "
                f"--most-embedded {count}."
            )
        return None
    try:
        return run_embeddings(record.folder, data)
    except UserError as error:
        record.notes.append(f"Nearest training photographs are missing: {error}.")
        return None
