"""`evaluation.json`: the measures of a model, with intervals, beside its run or where asked for."""

import json
from pathlib import Path
from typing import Any

from finegrain.errors import UserError
from finegrain.whole_files import written_whole

EVALUATION = "evaluation.json"


def write_evaluation(path: Path, evaluation: dict[str, Any]) -> None:
    """Write the measures, replacing a file of the same name."""
    # A number that is not finite would make it unreadable for other readers of JSON.
    content = json.dumps(evaluation, ensure_ascii=False, indent=1, allow_nan=False)
    with written_whole(path) as file:
        file.write_text(content, encoding="utf-8", errors="surrogateescape")


def read_evaluation(path: Path) -> dict[str, Any]:
    """The measures; see `evaluate` for what they are.

    Raises:
        UserError: no such file, or damaged.
    """
    if not path.is_file():
        raise UserError(f"there is no {path}; make it with tools/evaluate.py")
    try:
        evaluation = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
        if not isinstance(evaluation["splits"], dict):
            raise TypeError("splits are no table")
        return evaluation
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({error}); make it again with tools/evaluate.py"
        ) from error
