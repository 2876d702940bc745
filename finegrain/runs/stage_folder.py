"""The folder of one stage: its history and its checkpoints, safe against a kill at any moment."""

import csv
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge
from pydantic import Field, StringConstraints, field_validator

from finegrain.errors import UserError, by_product
from finegrain.quiet import damage_not_warned_of
from finegrain.records import Record, read_record, write_record
from finegrain.runs.plateau import Verdict
from finegrain.runs.run_config import completed, refuse_differences
from finegrain.whole_files import remove_partials, written_whole

if TYPE_CHECKING:
    import keras

HISTORY = "history.csv"
# The weights that a stage began with, where they are wanted at its end.
START = "start.weights.h5"
STATE = "state.json"
# A name and no path: what is swept and loaded lies in the stage's own folder.
Checkpoint = Annotated[
    str, StringConstraints(pattern=r"^epoch-\d{4,9}(-share-\d{3})?\.weights\.h5$")
]
# The loss that is watched and the accuracy that is told, in either recipe.
WATCHED = (("val_category_loss", "val_loss"), ("val_category_accuracy", "val_accuracy"))


class StageState(Record):
    """The content of `state.json`."""

    settings: dict[str, Any]
    finished: bool
    last: Checkpoint | None
    best: Checkpoint | None
    # A loss that left all bounds stands there as NaN or infinity.
    history: list[dict[str, Annotated[float, Field(allow_inf_nan=True)]]]
    preparation: Annotated[float, Ge(0)] = 0.0

    @field_validator("history")
    @classmethod
    def _rows_are_whole(cls, rows: list[dict[str, float]]) -> list[dict[str, float]]:
        for number, row in enumerate(rows, 1):
            if row.keys() != rows[0].keys():
                raise ValueError(f"epoch {number} has other columns than the first")
            missing = {"seconds", "learning_rate"} - row.keys()
            missing |= {names[-1] for names in WATCHED if not row.keys() & set(names)}
            if missing:
                raise ValueError(f"epoch {number} lacks {sorted(missing)[0]}")
            for name, value in row.items():
                most = 1.0 if name.endswith("accuracy") else sys.float_info.max
                if not name.endswith("loss") and not 0 <= value <= most:
                    raise ValueError(f"epoch {number} has the {name} {value}")
        return rows


def read_state(folder: Path) -> StageState:
    """The state of a stage; a `UserError` where it is damaged or a newer version's."""
    mend = f"delete the folder {folder} to train this stage again"
    return read_record(folder / STATE, StageState, mend)


class StageFolder:
    """Checkpoints and history of one stage.

    `state.json` is the one truth: it holds the history and names the checkpoint of the last
    finished epoch and of the best one. It is replaced after the checkpoint it names is whole, so
    a process killed between the two leaves at most a checkpoint that nobody names, which the
    next start sweeps away. `history.csv` is written from it for people to read.

    The folder is made with the first epoch; one made with other `settings`, JSON values, is
    refused. `held_before` is what held before a setting was there, or while one that is no more
    was, for a stage begun then.
    """

    def __init__(
        self, path: Path, settings: dict[str, Any], held_before: Mapping[str, Any] | None = None
    ):
        self.path = path
        self.settings = settings
        self.history: list[dict[str, float]] = []
        self.last: str | None = None
        self.best: str | None = None
        self.finished = False
        # Seconds spent before the first epoch on what all epochs use: filling a store.
        self.preparation = 0.0
        if (path / STATE).is_file():
            state = read_state(path)
            made_with, asked_for = (
                completed(each, held_before or {}) for each in (state.settings, settings)
            )
            refuse_differences(made_with, asked_for, path)
            # As they were written: whole numbers stay whole.
            self.history, self.finished = state.content["history"], state.finished
            self.last, self.best = state.last, state.best
            self.preparation = state.preparation
            self._sweep()

    @classmethod
    def finished_before(cls, path: Path) -> "StageFolder":
        """A stage trained to its end, with the settings it was trained with, or a `UserError`."""
        if (path / STATE).is_file():
            folder = cls(path, read_state(path).settings)
            if folder.finished:
                return folder
        raise UserError(
            f"{path} holds no finished stage; start the command that trains it again, it goes on "
            "where it stopped"
        )

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return len(self.history)

    @property
    def seconds(self) -> float:
        """Everything the stage took, its preparation included."""
        return self.preparation + sum(row["seconds"] for row in self.history)

    def save_epoch(self, model: "keras.Model", row: dict[str, float], verdict: Verdict) -> None:
        """Make an epoch final: checkpoint of the compiled model, optimizer included, and state.

        `verdict` is of the history with this row. If the disk is full, the last epoch stands.
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

    def save_start(self, model: "keras.Model") -> None:
        """Keep the weights that the stage begins with until it ends."""
        with written_whole(self.path / START, _size_of(model)) as file:
            _bare(model).save_weights(file)

    def load_start(self, model: "keras.Model") -> None:
        """Load the weights that the stage began with; the optimizer stays."""
        self._load(_bare(model), START)

    def save_share(self, model: "keras.Model", share: float) -> None:
        """Take the model, such a share of the way from the start to the best epoch, for the best.

        The stage is over: its best epoch itself is swept away.
        """
        name = f"{str(self.best).partition('.')[0]}-share-{round(100 * share):03d}.weights.h5"
        with written_whole(self.path / name, _size_of(model)) as file:
            model.save_weights(file)
        self.best = name
        self.finish()

    def finish(self) -> None:
        """Mark the stage as done and keep nothing but its best checkpoint."""
        self.finished = True
        self.last = self.best
        self._write_state()
        self._sweep()

    def load_last(self, model: "keras.Model") -> None:
        """Load the last finished epoch, optimizer included, into the compiled model."""
        self._load(model, self.last)

    def load_best(self, model: "keras.Model") -> None:
        """Load the epoch with the lowest validation loss."""
        self._load(model, self.best)

    def _load(self, model: "keras.Model", name: str | None) -> None:
        file = self.path / str(name)
        try:
            with damage_not_warned_of():
                model.load_weights(file)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UserError(
                f"the checkpoint {file} is missing or damaged; "
                f"delete the folder {self.path} to train this stage again"
            ) from error

    def _write_state(self) -> None:
        names = ("settings", "finished", "last", "best", "preparation", "history")
        write_record(self.path / STATE, {name: getattr(self, name) for name in names})
        self._write_history()

    def _write_history(self) -> None:
        path = self.path / HISTORY
        with (
            by_product(str(path)),
            written_whole(path) as file,
            file.open("w", newline="", encoding="utf-8") as table,
        ):
            writer = csv.DictWriter(table, fieldnames=list(self.history[0]))
            writer.writeheader()
            writer.writerows(self.history)

    def _sweep(self) -> None:
        remove_partials(self.path)
        for checkpoint in self.path.glob("epoch-*.weights.h5"):
            if checkpoint.name not in (self.last, self.best):
                checkpoint.unlink()
        if self.finished:
            (self.path / START).unlink(missing_ok=True)
        if self.history:
            # A kill may have fallen between the state and the table made from it.
            self._write_history()


def _bare(model: "keras.Model") -> "keras.Model":
    """The model without its optimizer, which is saved and loaded with it otherwise."""
    import keras

    return keras.Model(model.input, model.output, name=model.name)


def _size_of(model: "keras.Model") -> int:
    """Bytes that a checkpoint takes at most: all variables, and what HDF5 writes about them."""
    # Keras saves the variables of an optimizer made of several once for each, and once together.
    variables = [*model.variables, *2 * list(model.optimizer.variables)]
    return sum(4 * math.prod(variable.shape) + 2_000 for variable in variables)
