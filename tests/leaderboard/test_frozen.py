"""Logistic regression out of fold, against scikit-learn fitted anew for every fold."""

from pathlib import Path

import numpy as np
from scipy.special import softmax

from finegrain.embeddings.logistic import STRENGTHS, RegressionPath
from finegrain.leaderboard.clock import Clock
from finegrain.leaderboard.frozen import Embedded, regression, regression_bytes
from finegrain.leaderboard.partition import Partition

FOLDS, PER_FOLD, WIDTH = 3, 20, 6


def contest():
    rng = np.random.default_rng(3)
    labels = np.tile([0, 1], FOLDS * PER_FOLD // 2)
    folds = np.repeat(np.arange(FOLDS), PER_FOLD)
    means = rng.normal(size=(2, WIDTH))

    def views(of):
        return (means[of] + rng.normal(size=(2, len(of), WIDTH))).astype(np.float32)

    others = np.array([0, 1, 1])
    partition = Partition(
        ["a", "b"], [Path(f"{i}") for i in range(len(labels))], labels, folds, [], [], {}, {}
    )
    return partition, Embedded(views(labels), views(others), views(others))


def test_no_fold_is_answered_by_what_its_labels_chose():
    partition, embedded = contest()
    found = regression("one", ["one"], [embedded], partition, Clock(None))

    def path_without(fold):
        kept = partition.folds != fold
        rows = np.concatenate(list(embedded.known[:, kept]))
        return RegressionPath(rows, np.tile(partition.labels[kept], 2), 2)

    def chosen_on(fold):
        out = partition.folds == fold
        losses = [
            path_without(fold).at(place).log_loss(embedded.known[0, out], partition.labels[out])
            for place in range(len(STRENGTHS))
        ]
        worse = [place for place in range(1, len(losses)) if losses[place] >= losses[place - 1]]
        return worse[0] - 1 if worse else len(losses) - 1

    held_out = np.zeros((3, 2))
    for fold in range(FOLDS):
        out = partition.folds == fold
        model = path_without(fold).at(chosen_on((fold + 1) % FOLDS))
        wanted = np.mean([softmax(model.logits(v), axis=1) for v in embedded.known[:, out]], axis=0)
        np.testing.assert_allclose(found.out_of_fold[out], wanted, rtol=1e-4, atol=1e-6)
        for view in embedded.held_out:
            held_out += softmax(model.logits(view), axis=1) / (2 * FOLDS)
    np.testing.assert_allclose(found.held_out, held_out, rtol=1e-4, atol=1e-6)


def test_memory_of_a_regression_grows_with_what_it_reads():
    _, embedded = contest()
    assert regression_bytes([embedded, embedded]) == 2 * regression_bytes([embedded])
    assert regression_bytes([embedded]) >= 2 * embedded.known.nbytes
