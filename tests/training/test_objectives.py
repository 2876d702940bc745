"""Losses of the objectives, against their formulas."""

import math
from typing import get_args

import keras
import numpy as np
import pytest

from finegrain.errors import UserError
from finegrain.runs.plateau import judge
from finegrain.runs.run_config import WITHOUT_PAIRS
from finegrain.training.objectives import ROWS, find_objective
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


@pytest.mark.parametrize("monitor, best", [("loss", 1), ("accuracy", 0), ("last", 3)])
def test_which_epoch_is_kept(monitor, best):
    objective, stage = find_objective("softmax"), Stage("2", 1, "sgd", 0.1, 5, monitor=monitor)
    accuracies, losses = [0.9, 0.8, 0.7, 0.6, 0.5], [2.0, 1.0, 3.0, 4.0, math.nan]
    rows = [
        {objective.accuracy: accuracy, objective.loss: loss}
        for accuracy, loss in zip(accuracies, losses, strict=True)
    ]
    assert judge(objective.watched(rows, stage), 0, 0).best_epoch == best


def test_which_objectives_learn_pairs_is_known_without_keras():
    assert [row.name for row in ROWS if not row.learns_pairs] == list(WITHOUT_PAIRS)
