"""The data set that a run was trained on, opened to look at its images again."""

from pathlib import Path

from finegrain.datasets.manifest import DataSet, open_data_set
from finegrain.errors import UserError
from finegrain.runs.run_folder import RunFolder


def open_run_data(run_folder: Path, moved_to: Path | None = None) -> DataSet:
    """Open a run's data set; images that are gone since are no reason to refuse it.

    Args:
        run_folder: the run.
        moved_to: where the data set stands now, if it has moved.

    Raises:
        UserError: no such run, or its data set is gone, damaged or no longer the same.
    """
    recorded = RunFolder.open(run_folder).config.data
    folder, digest = Path(recorded.folder), recorded.digest
    if moved_to is None and not folder.is_dir():
        raise UserError(
            f"the data set {folder} that {run_folder} was trained on is gone; tell with --data "
            "where it stands now"
        )
    data = open_data_set(moved_to or folder, may_lack_images=True)
    if data.digest != digest:
        raise UserError(
            f"the data set {data.folder} is no longer the one {run_folder} was trained on; give "
            "that one with --data, or make it again as it was"
        )
    return data
