"""What a run reached, stage by stage, in `results.json`."""

import json
import math
from typing import Annotated, Any

from annotated_types import Ge
from pydantic import NonNegativeInt

from finegrain.flags import Probability
from finegrain.records import Record, Typed, read_record, stamped
from finegrain.runs.run_folder import RunFolder
from finegrain.whole_files import written_whole

RESULTS = "results.json"


class StageNumbers(Typed):
    """What one stage reached; without the error of a split that the data set lacks."""

    epochs: NonNegativeInt
    seconds: Annotated[float, Ge(0)]
    valid_error: Probability = math.nan
    test_error: Probability = math.nan


class Results(Record):
    """The content of `results.json`."""

    model_from: str | None
    stages: dict[str, StageNumbers]


def read_results(run: RunFolder) -> dict[str, Any]:
    """The run's results.

    Returns:
        `model_from`, the stage whose model stands in model.keras (None before the first), and
        `stages`, a dict of stage name -> its numbers.

    Raises:
        UserError: the file is damaged, or was written by a newer version.
    """
    file = run.path / RESULTS
    if not file.is_file():
        return {"model_from": None, "stages": {}}
    mend = "delete it and start the training command again, which measures the finished stages anew"
    return read_record(file, Results, mend).content


def write_results(run: RunFolder, results: dict[str, Any]) -> None:
    """Replace the run's results."""
    with written_whole(run.path / RESULTS) as file:
        file.write_text(json.dumps(stamped(results), indent=1), encoding="utf-8")
