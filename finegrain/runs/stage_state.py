"""What the `state.json` of a stage says, typed: its settings, its history, its checkpoints."""

import sys
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge
from pydantic import Field, StringConstraints, field_validator

from finegrain.records import Record, read_record

STATE = "state.json"
# A name and no path: what is swept and loaded lies in the stage's own folder.
Checkpoint = Annotated[str, StringConstraints(pattern=r"^epoch-\d{4,9}\.weights\.h5$")]
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
    """The state of a stage.

    Raises:
        UserError: it cannot be read, is damaged, or was written by a newer version.
    """
    mend = f"delete the folder {folder} to train this stage again"
    return read_record(folder / STATE, StageState, mend)
