"""What a submission calls the classes: by their names, or by a JSON's category ids."""

from collections.abc import Sequence

from finegrain.errors import UserError
from finegrain.runs.finished_run import FinishedRun
from finegrain.submission.class_probabilities import ClassProbabilities


def submitted_classes(runs: Sequence[FinishedRun]) -> dict[str, str] | None:
    """Class name -> category id, from the runs whose data set came from a JSON.

    Args:
        runs: runs of the same classes.

    Returns:
        None where no run knows of ids, and submissions take the names.

    Raises:
        UserError: two runs call a class by different ids.
    """
    knowing = [(run, run.category_ids) for run in runs if run.category_ids is not None]
    if not knowing:
        return None
    first_run, first_ids = knowing[0]
    first = dict(zip(first_run.classes, first_ids, strict=True))
    for run, ids in knowing[1:]:
        for name, number in zip(run.classes, ids, strict=True):
            if first[name] != number:
                raise UserError(
                    f"{first_run.folder} and {run.folder} cannot be averaged, the class {name} "
                    f"has the category_id {first[name]} in one and {number} in the other; give "
                    "runs made from the same JSON"
                )
    return first


def as_submitted(table: ClassProbabilities, names: dict[str, str] | None) -> ClassProbabilities:
    """The table with its classes called as `submitted_classes` has them."""
    if names is None:
        return table
    return ClassProbabilities(table.ids, [names[c] for c in table.classes], table.probabilities)
