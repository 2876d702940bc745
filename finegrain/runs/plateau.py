"""When to lower the learning rate, when to stop: told from the history alone.

Keras's ReduceLROnPlateau and EarlyStopping keep counters, which a killed process takes with it;
a resumed training decides here as the uninterrupted one would.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# ReduceLROnPlateau's own default: a smaller gain does not count as progress.
MIN_DELTA = 1e-4


@dataclass(frozen=True)
class Verdict:
    """What follows from the epochs so far."""

    best_epoch: int | None  # index, of equals the earliest; None before the first
    reductions: int  # how many times the learning rate has been lowered
    stop: bool  # whether training should end


def judge(losses: Sequence[float], reduce_patience: int, stop_patience: int) -> Verdict:
    """Judge the validation losses of all finished epochs, oldest first; NaN is never better.

    Patience is how many epochs without progress are waited for before that is done; 0 for ever.
    """
    best, best_epoch = math.inf, None
    plateau_best, plateau_wait, reductions = math.inf, 0, 0
    for epoch, loss in enumerate(losses):
        if loss < best:
            best, best_epoch = loss, epoch
        if loss < plateau_best - MIN_DELTA:
            plateau_best, plateau_wait = loss, 0
            continue
        plateau_wait += 1
        if reduce_patience and plateau_wait >= reduce_patience:
            reductions, plateau_wait = reductions + 1, 0
    since_best = len(losses) - 1 - (best_epoch if best_epoch is not None else -1)
    stop = bool(losses) and stop_patience > 0 and since_best >= stop_patience
    return Verdict(best_epoch, reductions, stop)


def rate_drops(rates: Sequence[float]) -> list[int]:
    """The epochs, counted from 0, that a plateau before them gave a lower rate.

    None for a schedule by steps: its rate changes before anything can have stalled.
    """
    if len(rates) > 1 and rates[1] != rates[0]:
        return []
    return [epoch for epoch in range(1, len(rates)) if rates[epoch] < rates[epoch - 1]]
