"""What happens around every epoch of a stage: seed, watch, judge, save, tell."""

import math
import sys
import time
from collections.abc import Mapping
from typing import TypeAlias

import keras
import numpy as np

from finegrain.errors import UserError
from finegrain.runs.plateau import Verdict
from finegrain.runs.stage_folder import StageFolder
from finegrain.training.objectives.objective import Objective
from finegrain.training.optimizers.averaged import swap_averages
from finegrain.training.schedule import rate_after, stage_verdict
from finegrain.training.stage import Stage

# What Keras measured: name -> value.
Logs: TypeAlias = Mapping[str, float]


class EpochKeeper(keras.callbacks.Callback):
    """Make every finished epoch final, and stop when there is nothing more to gain.

    Args:
        folder: where the stage's epochs are kept.
        seed: of dropout; epoch number n draws the same whether or not training was interrupted.
        whole: the training model, which is saved; what `fit` trains may be a part of it that
            shares its layers and its optimizer.

    Raises:
        UserError: the loss is no longer a number; the last good checkpoint stands.
    """

    # Keras calls `on_train_batch_end` in a thread of its own, so that no step waits until the loss
    # of the one before has come from the device.
    async_safe = True

    def __init__(
        self,
        stage: Stage,
        objective: Objective,
        folder: StageFolder,
        seed: int,
        whole: keras.Model,
    ):
        super().__init__()
        self.objective = objective
        self.whole = whole
        self.stage = stage
        self.folder = folder
        self.seed = seed
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.started = time.monotonic()
        rng = np.random.default_rng([self.seed, epoch])
        # What is trained may have layers of its own: those that augment.
        layers = {layer.name: layer for layer in [*self.whole.layers, *self.model.layers]}
        for layer in layers.values():
            if hasattr(layer, "seed_generator"):
                state = rng.integers(2**31, size=2)
                layer.seed_generator.state.assign(state.astype("uint32"))

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            kept = self.folder.epochs
            raise UserError(
                f"the loss of stage {self.stage.name} became {loss} in epoch {kept + 1} "
                f"with learning rate {self.stage.learning_rate:g}; what was finished before it is "
                "kept, train again with a smaller learning rate and another --run"
            )

    def on_test_begin(self, logs: Logs | None = None) -> None:
        # What is judged and kept is the average, where there is one.
        swap_averages(self.whole)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        seconds = time.monotonic() - self.started
        row = {"epoch": epoch + 1, "learning_rate": self._learning_rate()}
        row |= {name: float(value) for name, value in sorted((logs or {}).items())}
        row["seconds"] = round(seconds, 2)
        watched = self.objective.watched([*self.folder.history, row], self.stage)
        verdict = stage_verdict(self.stage, watched)
        # Before the save, so that the checkpoint carries the rate of the epoch to come.
        if (rate := rate_after(self.stage, verdict)) is not None:
            self.whole.optimizer.learning_rate = rate
        self.folder.save_epoch(self.whole, row, verdict)
        swap_averages(self.whole)
        self._tell(row, verdict)
        if verdict.stop:
            self.model.stop_training = True

    def _learning_rate(self) -> float:
        rate = keras.ops.convert_to_numpy(self.whole.optimizer.learning_rate)
        # The optimizer's float32 would print 1e-4 as 9.999999747378752e-05.
        return float(f"{float(rate):.6g}")

    def _tell(self, row: dict[str, float], verdict: Verdict) -> None:
        done, most = self.folder.epochs, self.stage.epochs
        left = (most - done) * float(np.mean([past["seconds"] for past in self.folder.history]))
        error = 1 - row[self.objective.accuracy]
        note = "best so far" if verdict.best_epoch == done - 1 else ""
        if verdict.stop:
            note = f"no gain in {self.stage.stop_patience} epochs, stopping"
        elif done < most:
            note = f"{note}{', ' if note else ''}at most {_minutes(left)} left in this stage"
        print(
            f"  epoch {done:2d}/{most}  loss {row['loss']:.4f}  validation loss "
            f"{row[self.objective.loss]:.4f}  error {error:.4f}  {row['seconds']:.1f} s  {note}"
        )
        sys.stdout.flush()


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
