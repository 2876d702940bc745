"""The folder of one stage: its history and its checkpoints, safe against a kill at any moment."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import keras

from finegrain.errors import UserError
from finegrain.training.plateau import Verdict
from finegrain.whole_files import remove_partials, written_whole

STATE = "state.json"
HISTORY = "history.csv"


class StageFolder:
    """Checkpoints and history of one stage.

    `state.json` is the one truth: it holds the history and names the checkpoint of the last
    finished epoch and of the best one. It is replaced after the checkpoint it names is whole, so
    a process killed between the two leaves at most a checkpoint that nobody names, which the
    next start sweeps away. `history.csv` is written from it for people to read.

    Args:
        path: the stage's folder; made with the first epoch.
        settings: the stage's settings as JSON values.

    Raises:
        UserError: the folder was made with other settings, or its state cannot be read.
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path = path
        self.settings = settings
        self.history: list[dict[str, float]] = []
        self.last: str | None = None
        self.best: str | None = None
        self.finished = False
        # Seconds spent before the first epoch on what all epochs use: filling a store.
        self.preparation = 0.0
        if (path / STATE).is_file():
            self._read_state()
            self._sweep()

    @classmethod
    def finished_before(cls, path: Path) -> "StageFolder":
        """A stage that has been trained to its end, with the settings it was trained with.

        Raises:
            UserError: it has not been begun, or not been finished.
        """
        if (path / STATE).is_file():
            folder = cls(path, _read_json(path / STATE)["settings"])
            if folder.finished:
                return folder
        raise UserError(
            f"{path} holds no finished stage; start the command that trains it again, it goes on "
            "where it stopped"
        )

    def _read_state(self) -> None:
        state = _read_json(self.path / STATE)
        refuse_differences(state["settings"], self.settings, self.path)
        self.history, self.finished = state["history"], state["finished"]
        self.last, self.best = state["last"], state["best"]
        self.preparation = state.get("preparation", 0.0)

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return len(self.history)

    @property
    def seconds(self) -> float:
        """Everything the stage took, its preparation included."""
        return self.preparation + sum(row["seconds"] for row in self.history)

    def save_epoch(self, model: keras.Model, row: dict[str, float], verdict: Verdict) -> None:
        """Make an epoch final: checkpoint, state, history.

        Args:
            model: compiled model after the epoch; its optimizer is saved with it.
            row: the epoch's line of the history.
            verdict: of the history with this row.

        Raises:
            UserError: the disk is full; the epoch before stands as it was.
        """
        name = f"epoch-{self.epochs + 1:04d}.weights.h5"
        with written_whole(self.path / name, _size_of(model)) as file:
            model.save_weights(file)
        self.history = [*self.history, row]
        self.last = name
        if verdict.best_epoch == self.epochs - 1 or self.best is None:
            self.best = name
        self._write_state()
        self._sweep()

    def finish(self) -> None:
        """Mark the stage as done and keep nothing but its best checkpoint."""
        self.finished = True
        self.last = self.best
        self._write_state()
        self._sweep()

    def load_last(self, model: keras.Model) -> None:
        """Load the last finished epoch, optimizer included, into the compiled model."""
        self._load(model, self.last)

    def load_best(self, model: keras.Model) -> None:
        """Load the epoch with the lowest validation loss.

        Raises:
            UserError: the checkpoint is gone or damaged.
        """
        self._load(model, self.best)

    def _load(self, model: keras.Model, name: str | None) -> None:
        file = self.path / str(name)
        try:
            model.load_weights(file)
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"the checkpoint {file} is missing or damaged; "
                f"delete the folder {self.path} to train this stage again"
            ) from error

    def _write_state(self) -> None:
        state = {
            "settings": self.settings,
            "finished": self.finished,
            "last": self.last,
            "best": self.best,
            "preparation": self.preparation,
            "history": self.history,
        }
        with written_whole(self.path / STATE) as file:
            file.write_text(json.dumps(state, indent=1), encoding="utf-8")
        self._write_history()

    def _write_history(self) -> None:
        with written_whole(self.path / HISTORY) as file:
            with file.open("w", newline="", encoding="utf-8") as table:
                writer = csv.DictWriter(table, fieldnames=list(self.history[0]))
                writer.writeheader()
                writer.writerows(self.history)

    def _sweep(self) -> None:
        remove_partials(self.path)
        for checkpoint in self.path.glob("epoch-*.weights.h5"):
            if checkpoint.name not in (self.last, self.best):
                checkpoint.unlink()
        if self.history:
            # A kill may have fallen between the state and the table made from it.
            self._write_history()


def _size_of(model: keras.Model) -> int:
    """Bytes that a checkpoint takes at most: all variables, and what HDF5 writes about them."""
    variables = [*model.variables, *model.optimizer.variables]
    return sum(4 * math.prod(variable.shape) + 2_000 for variable in variables)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        missing = {"settings", "finished", "last", "best", "history"} - set(state)
    except (ValueError, TypeError):
        missing = {"everything"}
    if missing:
        raise UserError(
            f"{file} is damaged; delete the folder {file.parent} to train this stage again"
        )
    return state


def refuse_differences(made_with: dict, asked_for: dict, path: Path) -> None:
    """Refuse to go on in a folder that was made with other settings.

    Raises:
        UserError: names every setting that differs, with both values.
    """
    asked_for = json.loads(json.dumps(asked_for))
    differing = [
        f"{key} {made_with.get(key)!r} there, {asked_for.get(key)!r} now"
        for key in {**made_with, **asked_for}
        if made_with.get(key) != asked_for.get(key)
    ]
    if differing:
        raise UserError(
            f"{path} was made with other settings ({'; '.join(differing)}): "
            "give those again, or another --run"
        )
