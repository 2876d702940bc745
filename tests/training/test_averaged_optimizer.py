"""The average of the weights, against one computed step by step."""

import keras
import numpy as np
import pytest

from finegrain.training.optimizers.accumulated import AccumulatedOptimizer
from finegrain.training.optimizers.averaged import AveragedOptimizer, swap_averages

SCALE = 64.0
WRAPPERS = {
    "plain": lambda inner: (inner, 1, 1.0),
    "in parts": lambda inner: (AccumulatedOptimizer(inner, 2), 2, 1.0),
    "scaled": lambda inner: (keras.optimizers.LossScaleOptimizer(inner, SCALE), 1, SCALE),
}


def numbers(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def stepped(optimizer, weights, steps, parts=1, scale=1.0):
    """Take some steps; the weights after each."""
    rng, after = np.random.default_rng(5), []
    for _ in range(steps):
        for _ in range(parts):
            given = [scale * rng.normal(size=4).astype("float32") for _ in weights]
            optimizer.apply([keras.ops.convert_to_tensor(one) for one in given], weights)
        after.append(numbers(weights))
    return after


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_average_follows_the_steps(wrapper):
    weights = [keras.Variable(np.full(4, value)) for value in (1.0, 2.0)]
    averaged = AveragedOptimizer(keras.optimizers.Adam(0.1), 0.5)
    optimizer, parts, scale = WRAPPERS[wrapper](averaged)
    optimizer.build(weights)
    expected = numbers(weights)
    for step, after in enumerate(stepped(optimizer, weights, 12, parts, scale)):
        kept = min(0.5, (1 + step) / (10 + step))
        expected = [kept * e + (1 - kept) * w for e, w in zip(expected, after, strict=True)]
    np.testing.assert_allclose(numbers(averaged.averages), expected, rtol=1e-5)


def test_a_step_left_out_leaves_the_average():
    weights = [keras.Variable(np.ones(4))]
    averaged = AveragedOptimizer(keras.optimizers.SGD(0.1), 0.9)
    optimizer = keras.optimizers.LossScaleOptimizer(averaged, SCALE)
    optimizer.build(weights)
    optimizer.apply([keras.ops.convert_to_tensor([np.inf, 1.0, 1.0, 1.0])], weights)
    np.testing.assert_array_equal(numbers(averaged.averages), np.ones((1, 4)))
    assert int(averaged.iterations) == 0


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_saved_swapped_and_loaded_it_goes_on_to_the_bit(policy, tmp_path):
    def model():
        keras.utils.set_random_seed(2)
        made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        made.compile(AveragedOptimizer(keras.optimizers.Adam(0.1), 0.9), "mse")
        made.optimizer.build(made.trainable_variables)
        return made

    def train(some, steps):
        for step in range(steps):
            some.train_on_batch(np.full((4, 3), step + 1.0), np.zeros((4, 2)))
        return some

    keras.config.set_dtype_policy(policy)
    try:
        first, again = train(model(), 2), model()
        learning = first.get_weights()
        swap_averages(first)
        assert not np.array_equal(first.get_weights()[0], learning[0])
        first.save_weights(tmp_path / "kept.weights.h5")
        swap_averages(first)
        np.testing.assert_array_equal(first.get_weights()[0], learning[0])
        again.load_weights(tmp_path / "kept.weights.h5")
        swap_averages(again)
        for one, other in zip(*(state(train(some, 3)) for some in (first, again)), strict=True):
            np.testing.assert_array_equal(one, other)
    finally:
        keras.config.set_dtype_policy("float32")


def state(model):
    return [*model.get_weights(), *numbers(model.optimizer.variables)]
