"""The learning rate as a function of the step and of the history."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from finegrain.errors import no_such
from finegrain.runs.plateau import Verdict, judge
from finegrain.tensor import Tensor
from finegrain.training.stage import Stage

# Of one-cycle: the share of steps in which the rate rises, and what it begins and ends with.
RISING, FIRST, LAST = 0.3, 1 / 25, 1e-4


@dataclass(frozen=True)
class Schedule:
    """One row of the table.

    Attributes:
        name: as typed after `--schedule`.
        factor: (step, all steps, steps of warm-up), float tensors -> what the learning rate of
            the stage is multiplied by; None where it only falls on a plateau of the history.
    """

    name: str
    factor: Callable[[Tensor, float, float], Tensor] | None = None

    @property
    def on_plateau(self) -> bool:
        """Whether rate and end follow from the validation losses so far."""
        return self.factor is None


def cosine(step: Tensor, all_steps: float, warm_up: float) -> Tensor:
    """Up in a straight line, then down to zero along half a cosine.

    Loshchilov & Hutter 2017, arXiv 1608.03983, section 3, without restarts; the warm-up is that of
    Goyal et al. 2017, arXiv 1706.02677, section 2.2.
    """
    rising = (step + 1) / max(warm_up, 1.0)
    share = ops.clip((step - warm_up) / max(all_steps - warm_up, 1.0), 0.0, 1.0)
    return ops.where(step < warm_up, ops.minimum(rising, 1.0), (1 + ops.cos(math.pi * share)) / 2)


def one_cycle(step: Tensor, all_steps: float, warm_up: float) -> Tensor:
    """From a 25th up to the whole in the first three tenths, then down to next to nothing.

    Both along half a cosine; `warm_up` says nothing here. Smith & Topin 2018, arXiv 1708.07120.
    """
    peak = RISING * all_steps
    up = ops.clip(step / max(peak, 1.0), 0.0, 1.0)
    down = ops.clip((step - peak) / max(all_steps - peak, 1.0), 0.0, 1.0)
    rising = FIRST + (1 - FIRST) * (1 - ops.cos(math.pi * up)) / 2
    falling = LAST + (1 - LAST) * (1 + ops.cos(math.pi * down)) / 2
    return ops.where(step < peak, rising, falling)


ROWS = (
    Schedule("plateau"),
    Schedule("cosine", cosine),
    Schedule("one-cycle", one_cycle),
)


def find_schedule(name: str) -> Schedule:
    """The schedule of a name.

    Raises:
        UserError: there is none.
    """
    by_name = {row.name: row for row in ROWS}
    if name not in by_name:
        raise no_such("schedule", name, name, {key: key for key in by_name})
    return by_name[name]


def stage_verdict(stage: Stage, losses: Sequence[float]) -> Verdict:
    """What follows from the validation losses of the finished epochs of a stage."""
    if find_schedule(stage.schedule).on_plateau:
        return judge(losses, stage.reduce_patience, stage.stop_patience)
    return judge(losses, reduce_patience=0, stop_patience=0)


def rate_after(stage: Stage, verdict: Verdict) -> float | None:
    """The rate that the next epoch begins with; None where the optimizer goes by its own steps."""
    if find_schedule(stage.schedule).on_plateau:
        return stage.learning_rate * stage.reduce_factor**verdict.reductions
    return None


def optimizer_rate(stage: Stage, steps: int, times: float = 1.0) -> Any:
    """What an optimizer of a stage begins with: a number, or a schedule of its own steps.

    The optimizer counts its steps in a variable that checkpoints keep, so a resumed training
    goes on in the midst of any schedule.

    Args:
        stage: to be trained.
        steps: batches an epoch.
        times: so many times the stage's learning rate.
    """
    rate, row = times * stage.learning_rate, find_schedule(stage.schedule)
    if row.factor is None:
        return rate
    return _BySteps(rate, row.factor, steps * stage.epochs, steps * stage.warm_up_epochs)


@dataclass(frozen=True)
class _BySteps(keras.optimizers.schedules.LearningRateSchedule):
    rate: float
    factor: Callable[[Tensor, float, float], Tensor]
    all_steps: float
    warm_up_steps: float

    def __call__(self, step: Any) -> Any:
        return self.rate * self.factor(
            ops.cast(step, "float32"), float(self.all_steps), float(self.warm_up_steps)
        )
