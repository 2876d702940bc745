"""The decisions told from the history, against Keras's own callbacks."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.runs.plateau import judge, rate_drops


class FakeOptimizer:
    def __init__(self):
        self.learning_rate = keras.Variable(1.0, dtype="float64")


class FakeModel:
    """All that the two callbacks touch."""

    def __init__(self):
        self.optimizer, self.stop_training = FakeOptimizer(), False
        self.stopped_at = None

    def get_weights(self):
        return []


def keras_decisions(losses, reduce_patience, stop_patience):
    """What ReduceLROnPlateau and EarlyStopping decide after the last loss."""
    reduce = keras.callbacks.ReduceLROnPlateau("val_loss", 0.1, reduce_patience, mode="min")
    stop = keras.callbacks.EarlyStopping("val_loss", patience=stop_patience, mode="min")
    model = FakeModel()
    for callback in (reduce, stop):
        callback.set_model(model)
        callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        for callback in (reduce, stop):
            callback.on_epoch_end(epoch, {"val_loss": loss})
        if model.stop_training:
            break
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    return epoch + 1, round(-np.log10(rate)), model.stop_training


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.5, 0.50005, 0.6, 0.4, 0.3, 0.29]), min_size=1, max_size=14),
    st.integers(1, 4),
    st.integers(1, 6),
)
def test_decides_as_keras_callbacks_do(losses, reduce_patience, stop_patience):
    epochs, reductions, stopped = keras_decisions(losses, reduce_patience, stop_patience)
    verdict = judge(losses[:epochs], reduce_patience, stop_patience)
    assert (verdict.reductions, verdict.stop) == (reductions, stopped)
    assert verdict.best_epoch == int(np.argmin(losses[:epochs]))


def test_zero_patience_never_reduces_and_never_stops():
    verdict = judge([1.0] + [2.0] * 50, 0, 0)
    assert (verdict.reductions, verdict.stop, verdict.best_epoch) == (0, False, 0)


def test_before_the_first_epoch_there_is_nothing_to_decide():
    verdict = judge([], 3, 3)
    assert (verdict.best_epoch, verdict.reductions, verdict.stop) == (None, 0, False)


def test_a_loss_that_is_no_number_is_never_best():
    assert judge([float("nan"), 2.0], 3, 3).best_epoch == 1


def test_only_a_plateau_drops_the_rate():
    assert rate_drops([]) == rate_drops([0.1]) == rate_drops([0.1, 0.1, 0.1]) == []
    assert rate_drops([0.1, 0.1, 0.01, 0.01, 0.001]) == [2, 4]
    # Patience 1: the first epoch is always the best so far.
    assert rate_drops([0.1, 0.1, 0.01, 0.001]) == [2, 3]
    cosine = [0.1, 0.09, 0.05, 0.01, 0.0]
    assert rate_drops(cosine) == rate_drops([0.05, *cosine]) == []
