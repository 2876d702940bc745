"""What one candidate answers, and the folder where finished candidates are kept."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finegrain.whole_files import written_whole

ABOUT = "about"
ARRAYS = ("out_of_fold", "held_out", "test")
LEFT = "left.json"


@dataclass(frozen=True)
class Candidate:
    """A way to answer.

    Attributes:
        name: for the user.
        settings: all that its answers depend on, as JSON values.
    """

    name: str
    settings: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Answers:
    """The probabilities that a candidate gives.

    Attributes:
        out_of_fold: (N, C) of the known images, each by what has not learnt it.
        held_out: (E, C), the mean over the folds.
        test: (T, C), likewise.
        seconds: that it took.
        finished: seconds after the start of the search when it was there.
    """

    candidate: Candidate
    out_of_fold: np.ndarray
    held_out: np.ndarray
    test: np.ndarray
    seconds: float
    finished: float


@dataclass(frozen=True)
class AnswerFolder:
    """Finished candidates, a file each, for one partition of one contest."""

    folder: Path

    def save(self, answers: Answers) -> None:
        """Keep a candidate's answers, behind those that are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = len(list(self.folder.glob("*.npz")))
        about = {
            **asdict(answers.candidate),
            "seconds": answers.seconds,
            "finished": answers.finished,
        }
        arrays: dict[str, Any] = {name: getattr(answers, name) for name in ARRAYS}
        arrays[ABOUT] = np.array(json.dumps(about))
        with written_whole(self.folder / f"{number:03d}.npz") as beside, beside.open("wb") as file:
            np.savez(file, **arrays)

    def save_left(self, candidate: Candidate, losses: list[float]) -> None:
        """Remember a candidate that was left, and its loss after each fold that it had."""
        left = [[asdict(each), found] for each, found in self.left()]
        with written_whole(self.folder / LEFT) as beside:
            content = json.dumps([*left, [asdict(candidate), losses]], indent=1)
            beside.write_text(content, encoding="utf-8")

    def left(self) -> list[tuple[Candidate, list[float]]]:
        """The candidates that were left; none where the list is damaged."""
        try:
            content = json.loads((self.folder / LEFT).read_text(encoding="utf-8"))
            return [(Candidate(**candidate), list(losses)) for candidate, losses in content]
        except (OSError, ValueError, TypeError):
            return []

    def load(self) -> Iterator[Answers]:
        """All that are there and whole, in their order."""
        for file in sorted(self.folder.glob("*.npz")):
            try:
                with np.load(file, allow_pickle=False) as content:
                    about = json.loads(str(content[ABOUT]))
                    out_of_fold, held_out, test = (content[name] for name in ARRAYS)
            except (OSError, ValueError, KeyError, zipfile.BadZipFile):
                # What is damaged is searched for anew.
                file.unlink(missing_ok=True)
                continue
            candidate = Candidate(about["name"], about["settings"])
            yield Answers(
                candidate, out_of_fold, held_out, test, about["seconds"], about["finished"]
            )
