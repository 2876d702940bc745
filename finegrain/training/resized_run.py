"""A finished run whose model answers for pictures of another size than it was trained on.

A crop that is enlarged in training shows things larger than the whole picture does at test time;
larger pictures at test time make up for it (Touvron et al. 2019, "Fixing the train-test resolution
discrepancy", arXiv 1906.06423, section 3).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from finegrain.quiet import load_keras
from finegrain.runs.finished_run import FinishedRun
from finegrain.runs.run_folder import RunFolder

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class ResizedRun(FinishedRun):
    """A finished run in another frame; its model is the untrained one with the trained weights."""

    trained: FinishedRun
    untrained: "keras.Model"

    @property
    def keeps_graph(self) -> bool:
        """It is not: it takes other pictures."""
        return False

    def model(self) -> "keras.Model":
        """See `FinishedRun.model`; a `UserError` too where weights go with the trained size."""
        from finegrain.training.build import take_trained

        take_trained(self.untrained, self.trained.model())
        return self.untrained


def resized_run(run: FinishedRun, side: int | None) -> FinishedRun:
    """The run for square pictures of so many pixels; as it is where nothing is asked for.

    Raises:
        UserError: its backbone cannot take such pictures.
    """
    frame = replace(run.frame, height=side, width=side) if side else run.frame
    if frame == run.frame:
        return run
    # A run as it is needs none of it.
    load_keras()
    from finegrain.training.build import rebuild_model
    from finegrain.training.objectives import find_objective

    config = RunFolder.open(run.folder).config
    model = rebuild_model(config, frame.size, len(run.classes))
    whole = find_objective(config.recipe).finished(model)
    return ResizedRun(**{**vars(run), "frame": frame}, trained=run, untrained=whole)
