"""What a run reached, stage by stage, in `results.json`."""

import json
from typing import Any

from finegrain.errors import UserError
from finegrain.training.run_folder import RunFolder
from finegrain.whole_files import written_whole

RESULTS = "results.json"


def read_results(run: RunFolder) -> dict[str, Any]:
    """The run's results.

    Returns:
        `model_from`, the stage whose model stands in model.keras (None before the first), and
        `stages`, a dict of stage name -> its numbers.

    Raises:
        UserError: the file is damaged.
    """
    file = run.path / RESULTS
    if not file.is_file():
        return {"model_from": None, "stages": {}}
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{file} is damaged ({error}); delete it and start the training command again, which "
            "measures the finished stages anew"
        ) from error


def write_results(run: RunFolder, results: dict[str, Any]) -> None:
    """Replace the run's results."""
    with written_whole(run.path / RESULTS) as file:
        file.write_text(json.dumps(results, indent=1), encoding="utf-8")
