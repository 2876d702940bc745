"""Learning rates, step by step, against the formulas written out."""

import math

import keras
import numpy as np
import pytest

from finegrain.errors import UserError
from finegrain.training.schedule import find_schedule, optimizer_rate, rate_after, stage_verdict
from finegrain.training.stage import Stage

RATE, STEPS, EPOCHS = 0.5, 10, 6


def stage(**settings):
    return Stage("1-frozen", None, "sgd", RATE, EPOCHS, **settings)


def rates(schedule, **settings):
    rate = optimizer_rate(stage(schedule=schedule, **settings), STEPS)
    return [float(keras.ops.convert_to_numpy(rate(step))) for step in range(STEPS * EPOCHS + 1)]


def test_on_a_plateau_the_rate_is_a_number_that_the_history_lowers():
    falling = stage(reduce_patience=2, stop_patience=4, reduce_factor=0.1)
    assert optimizer_rate(falling, STEPS) == RATE
    assert optimizer_rate(falling, STEPS, times=10) == 10 * RATE
    losses = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    told = [stage_verdict(falling, losses[: count + 1]) for count in range(len(losses))]
    assert [rate_after(falling, verdict) for verdict in told] == pytest.approx(
        [RATE, RATE, RATE, RATE / 10, RATE / 10, RATE / 100]
    )
    assert [verdict.stop for verdict in told] == [False] * 5 + [True]


@pytest.mark.parametrize("warm_up", [0, 1, 2.5])
def test_cosine_rises_in_a_line_and_falls_to_zero(warm_up):
    first, last = warm_up * STEPS, STEPS * EPOCHS
    expected = [
        RATE * min((step + 1) / first, 1)
        if step < first
        else RATE * (1 + math.cos(math.pi * (step - first) / (last - first))) / 2
        for step in range(last + 1)
    ]
    found = rates("cosine", warm_up_epochs=warm_up)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert max(found) == pytest.approx(RATE) and found[-1] == pytest.approx(0, abs=1e-7)


def test_one_cycle_rises_for_three_tenths_and_falls_to_next_to_nothing():
    found = rates("one-cycle")
    assert found[0] == pytest.approx(RATE / 25)
    assert found[18] == max(found) == pytest.approx(RATE)
    assert found[9] == pytest.approx(RATE * (1 + 1 / 25) / 2)
    assert found[39] == pytest.approx(RATE * (1 + 1e-4) / 2)
    assert found[-1] == pytest.approx(RATE * 1e-4, rel=1e-3)
    assert found[:19] == sorted(found[:19]) and found[18:] == sorted(found[18:], reverse=True)


def test_only_a_plateau_ends_a_stage_early():
    flat = [1.0] * 20
    assert stage_verdict(stage(), flat).stop
    assert not stage_verdict(stage(schedule="cosine"), flat).stop
    assert rate_after(stage(schedule="cosine"), stage_verdict(stage(), flat)) is None


def test_an_unknown_schedule_is_refused():
    with pytest.raises(
        UserError, match="no schedule named 'sawtooth'; known: plateau, cosine, one-cycle"
    ):
        find_schedule("sawtooth")
