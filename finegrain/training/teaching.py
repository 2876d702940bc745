"""What a teacher adds to a training: its answers beside the labels, and labels it guesses."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from finegrain.datasets.manifest import DataSet
from finegrain.errors import UserError
from finegrain.runs.run_config import RunTeaching
from finegrain.whole_files import written_whole

TEACHING = "teaching.npz"
# float32 knows no more of a probability of 0.
SMALLEST = 1e-7


@dataclass(frozen=True, eq=False)
class Teaching:
    """The averaged answers of a teacher, and the photographs whose class it guessed.

    Attributes:
        about: what the answers depend on, as the run's config tells it.
        answers: (N + M, C) float32 probabilities, of the N training images of the data set in
            the order of the manifest, then of M photographs without labels. N is 0 where labels
            are not mixed.
        paths, sha1: (M,) str, of these photographs.
    """

    about: RunTeaching
    answers: np.ndarray
    paths: np.ndarray
    sha1: np.ndarray

    def data(self, data: DataSet) -> DataSet:
        """The data set with the guessed photographs as further training images, behind its own."""
        guesses = self.answers[len(self.answers) - len(self.paths) :].argmax(axis=1)
        rows = pd.DataFrame(
            {
                # Absolute, so that the folder of the data set does not matter.
                "path": self.paths.astype(object),
                "label": [data.classes[guess] for guess in guesses],
                "split": "train",
                "width": 0,
                "height": 0,
                "sha1": self.sha1.astype(object),
            }
        )
        table = pd.concat([data.table, rows], ignore_index=True) if len(rows) else data.table
        return replace(data, table=table)

    def targets(self, labels: np.ndarray, weight: float, temperature: float) -> np.ndarray | None:
        """(N + M, C) float32: labels, (N + M,), and the teacher's answers, mixed; None for labels.

        Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network", arXiv
        1503.02531, section 2, with the student at a temperature of 1, since its targets go
        through any objective.

        Args:
            weight: share of the teacher's answer, 0 to 1.
            temperature: what the teacher's logits are divided by; above 1 it tells more of the
                classes that it holds to be less likely.
        """
        if not weight:
            return None
        logits = np.log(np.maximum(self.answers.astype("float64"), SMALLEST)) / temperature
        soft = np.exp(logits - logits.max(axis=1, keepdims=True))
        soft /= soft.sum(axis=1, keepdims=True)
        hard = np.eye(soft.shape[1])[labels]
        return ((1 - weight) * hard + weight * soft).astype("float32")

    def save(self, run: Path) -> None:
        """Keep it in a run folder."""
        digest = np.array(self.about.digest)
        with written_whole(run / TEACHING, self.answers.nbytes) as beside:
            np.savez(beside, answers=self.answers, paths=self.paths, sha1=self.sha1, digest=digest)


def read_teaching(run: Path, about: RunTeaching) -> Teaching | None:
    """What a run was taught, from its folder; None where it is gone, damaged or another's."""
    try:
        with np.load(run / TEACHING, allow_pickle=False) as file:
            if str(file["digest"]) != about.digest:
                return None
            paths = file["paths"]
            about = about.model_copy(update={"images": len(paths)})
            return Teaching(about, file["answers"], paths, file["sha1"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def taught_before(run: Path, about: RunTeaching | None) -> Teaching | None:
    """What a run was taught that is taken up again; None for a run without a teacher.

    Raises:
        UserError: its file is gone or damaged.
    """
    if about is None:
        return None
    teaching = read_teaching(run, about)
    if teaching is None:
        raise UserError(
            f"{run / TEACHING} is gone or damaged; start the training command of {run} again, "
            "which makes it anew"
        )
    return teaching


def teaching_digest(depends_on: Mapping[str, Any]) -> str:
    """SHA-256 of what a teaching depends on, JSON values by name."""
    return hashlib.sha256(json.dumps(depends_on).encode("ascii")).hexdigest()
