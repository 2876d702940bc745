"""Losses of the objectives, against their formulas."""

from typing import get_args

import keras
import numpy as np
import pytest

from finegrain.errors import UserError
from finegrain.training.objectives import find_objective
from finegrain.training.objectives.pair_losses import PAIR_LOSSES
from finegrain.training.stage import Stage
from finegrain.training.stage_settings import PairLossName, objective_of


def test_smoothed_labels_share_with_all_classes():
    stage = Stage("2", None, "adam", 0.1, 1, label_smoothing=0.2)
    logits = np.array([[2.0, -1.0, 0.5, 0.0]], "float32")
    shares = np.array([0.05, 0.85, 0.05, 0.05])
    expected = -(shares * (logits[0] - np.log(np.exp(logits[0]).sum()))).sum()
    target = np.eye(4, dtype="float32")[[1]]
    softmax = find_objective("softmax").compile_arguments(stage)["loss"]
    assert float(softmax(target, logits)) == pytest.approx(expected, rel=1e-5)
    both = find_objective("multi-loss").compile_arguments(stage)["loss"]
    assert float(both["category"](target, logits)) == pytest.approx(expected, rel=1e-5)
    # Same class or not is said as it is.
    pair = both["same_class"](np.array([[0.0, 1.0]], "float32"), logits[:, :2])
    assert float(pair) == pytest.approx(float(keras.ops.logsumexp(logits[0, :2])) + 1.0, rel=1e-5)


def test_every_pair_loss_of_the_flags_has_its_objective():
    assert set(get_args(PairLossName)) == {"verification", *PAIR_LOSSES}
    for name in get_args(PairLossName):
        assert find_objective(objective_of(name)).learns_pairs
    assert find_objective(objective_of("none")).name == "softmax"


def test_an_unknown_objective_is_refused():
    with pytest.raises(
        UserError, match="no objective named 'quartet'; known: softmax, multi-loss, arcface, contr"
    ):
        find_objective("quartet")
