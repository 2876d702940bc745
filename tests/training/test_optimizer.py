"""A rate for each group of layers, against plain optimizers run side by side."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from finegrain.errors import UserError
from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import softmax_model
from finegrain.training.optimizers.accumulated import AccumulatedOptimizer
from finegrain.training.optimizers.stage_optimizer import GroupedOptimizer, clipped, stage_optimizer
from finegrain.training.stage import Stage
from finegrain.training.train_stage import freeze_for_stage

KINDS = {
    "adam": lambda rate: keras.optimizers.Adam(rate),
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
}


def variables():
    return [keras.Variable(np.full(3, value), name=f"v{value}") for value in (1.0, 2.0, 3.0)]


def gradients(step):
    return [np.random.default_rng([step, v]).normal(size=3).astype("float32") for v in range(3)]


def applied(optimizer, weights, steps=5):
    optimizer.build(weights)
    for step in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], weights)
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


@pytest.mark.parametrize("kind", KINDS)
def test_each_group_learns_as_with_an_optimizer_of_its_own(kind):
    rates = (0.1, 0.01, 0.1)
    expected = []
    for place, rate in enumerate(rates):
        weight, optimizer = variables()[place], KINDS[kind](rate)
        optimizer.build([weight])
        for step in range(5):
            optimizer.apply([keras.ops.convert_to_tensor(gradients(step)[place])], [weight])
        expected.append(keras.ops.convert_to_numpy(weight))
    weights = variables()
    optimizers = [KINDS[kind](0.01), KINDS[kind](0.1)]
    grouped = GroupedOptimizer(optimizers, [[weights[1]], [weights[0], weights[2]]], [1.0, 10.0])
    np.testing.assert_allclose(applied(grouped, weights), expected, rtol=1e-6)
    assert int(grouped.iterations) == 5


def test_a_lower_rate_reaches_all_groups():
    weights = variables()
    optimizers = [KINDS["sgd"](0.01), KINDS["sgd"](0.1)]
    grouped = GroupedOptimizer(optimizers, [weights[:1], weights[1:]], [1.0, 10.0])
    grouped.build(weights)
    grouped.learning_rate = 0.001
    assert [float(one.learning_rate) for one in optimizers] == pytest.approx([0.001, 0.01])
    assert float(grouped.learning_rate) == pytest.approx(0.001)


def plain_sgd(clip_norm):
    """Three variables in two groups, the second at ten times the rate; and the variables."""
    weights = variables()
    optimizers = [keras.optimizers.SGD(0.1), keras.optimizers.SGD(1.0)]
    return GroupedOptimizer(optimizers, [weights[:1], weights[1:]], [1.0, 10.0], clip_norm), weights


WRAPPERS = {
    "plain": lambda inner: (inner, 1, 1.0),
    "in parts": lambda inner: (AccumulatedOptimizer(inner, 2), 2, 1.0),
    "scaled": lambda inner: (keras.optimizers.LossScaleOptimizer(inner, 64.0), 1, 64.0),
    "scaled, in parts": lambda inner: (
        AccumulatedOptimizer(keras.optimizers.LossScaleOptimizer(inner, 64.0), 2),
        2,
        64.0,
    ),
}


@pytest.mark.parametrize("most", [0.5, 100.0])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_step_is_clipped_by_its_norm_over_all_groups(wrapper, most):
    grouped, weights = plain_sgd(most)
    optimizer, parts, scale = WRAPPERS[wrapper](grouped)
    optimizer.build(weights)
    given = [gradients(part) for part in range(parts)]
    for part in given:
        optimizer.apply([keras.ops.convert_to_tensor(scale * g) for g in part], weights)
    step = np.mean(given, axis=0)
    step *= min(1.0, most / np.linalg.norm(step))
    expected = np.array([[1.0], [2.0], [3.0]]) - np.array([[0.1], [1.0], [1.0]]) * step
    np.testing.assert_allclose([keras.ops.convert_to_numpy(w) for w in weights], expected, 1e-5)


def test_a_gradient_that_is_not_there_is_not_clipped():
    ones = keras.ops.ones(3)
    first, none, last = clipped([ones, None, ones], 1.0)
    assert none is None
    np.testing.assert_allclose([first, last], np.full((2, 3), 6**-0.5), rtol=1e-6)


@pytest.mark.parametrize("head_rate", [1.0, 10.0])
def test_a_stage_clips_in_one_group_and_in_several(head_rate):
    model = small_model()
    stage = Stage(
        "2", "block_16_expand", "sgd", 0.1, 1, momentum=0.0, head_rate=head_rate, clip_norm=0.3
    )
    freeze_for_stage(model, stage)
    learning = model.trainable_variables
    before = [keras.ops.convert_to_numpy(variable) for variable in learning]
    optimizer = stage_optimizer(model, stage, steps=1)
    optimizer.build(learning)
    optimizer.apply([keras.ops.ones_like(variable) for variable in learning], learning)
    count = sum(old.size for old in before)
    for place, old in enumerate(before):
        # The last two are kernel and bias of the softmax.
        times = head_rate if place >= len(before) - 2 else 1.0
        np.testing.assert_allclose(
            old - keras.ops.convert_to_numpy(learning[place]),
            np.full_like(old, 0.1 * times * 0.3 / count**0.5),
            atol=1e-6,
        )


def small_model():
    spec = find_backbone("mobilenet_v2_0.35")
    return softmax_model(build_backbone(spec, "none", (32, 32)), spec, 3)


def rates_by_layer(stage):
    """Name of a trained layer -> what its variables learn at, times the stage's rate."""
    model = small_model()
    freeze_for_stage(model, stage)
    optimizer = stage_optimizer(model, stage, steps=1)
    optimizer.build(model.trainable_variables)
    assert [float(one.learning_rate) for one in optimizer.optimizers] == pytest.approx(
        [stage.learning_rate * times for times in optimizer.times]
    )
    layers = [*model.get_layer("backbone").layers, model.get_layer("category")]
    rate_of = {
        id(variable): times
        for times, one in zip(optimizer.times, optimizer.optimizers, strict=True)
        for variable in one._trainable_variables
    }
    return {
        layer.name: {rate_of[id(variable)] for variable in layer.trainable_variables}
        for layer in layers
        if layer.trainable_variables
    }


def test_rates_fall_from_block_to_block_and_heads_have_their_own():
    stage = Stage("2", "block_13_expand", "sgd", 0.1, 1, head_rate=10.0, layer_decay=0.5)
    rates = rates_by_layer(stage)
    assert rates.pop("category") == {10.0}
    assert [len(rate) for rate in rates.values()] == 13 * [1]
    downwards = [rate.pop() for rate in rates.values()][::-1]
    assert downwards == sorted(downwards, reverse=True)
    counts = {rate: downwards.count(rate) for rate in downwards}
    # Thirteen layers in eight blocks.
    assert set(counts) == {0.5**block for block in range(8)} and set(counts.values()) == {1, 2}


def test_batch_norm_learns_with_the_kernel_before_it():
    few = {"optimizer": "adam", "learning_rate": 0.1, "epochs": 1, "layer_decay": 0.5}
    with_norms = Stage("2", "block_16_project", train_batch_norm=True, **few)
    assert rates_by_layer(with_norms) == {
        "block_16_project": {0.5},
        "block_16_project_BN": {0.5},
        "Conv_1": {1.0},
        "Conv_1_bn": {1.0},
        "category": {1.0},
    }


def test_heads_alone_keep_their_times_of_a_rate_that_falls():
    model, stage = small_model(), Stage("1", None, "adam", 0.1, 1, head_rate=10.0)
    freeze_for_stage(model, stage)
    optimizer = stage_optimizer(model, stage, steps=1)
    optimizer.build(model.trainable_variables)
    (heads,) = optimizer.optimizers
    assert float(heads.learning_rate) == pytest.approx(1.0)
    optimizer.learning_rate = 0.01
    assert float(heads.learning_rate) == pytest.approx(0.1)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)


def test_without_groups_it_is_a_plain_optimizer():
    model = small_model()
    stage = Stage("2", "block_13_expand", "sgd", 0.1, 1)
    freeze_for_stage(model, stage)
    assert type(stage_optimizer(model, stage, steps=1)) is keras.optimizers.SGD


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(UserError, match="must be adam, adamw, nadam or sgd"):
        stage_optimizer(small_model(), Stage("1", None, "lion", 0.1, 1), steps=1)


def test_weight_decay_shrinks_kernels_and_nothing_else():
    model = small_model()
    stage = Stage("2", "block_13_expand", "adamw", 0.1, 1, weight_decay=0.5, train_batch_norm=True)
    freeze_for_stage(model, stage)
    optimizer = stage_optimizer(model, stage, steps=1)
    variables = model.trainable_variables
    optimizer.build(variables)
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    optimizer.apply([keras.ops.zeros_like(variable) for variable in variables], variables)
    shrunk = 0
    for variable, old in zip(variables, before, strict=True):
        times = 1 - 0.1 * 0.5 if old.ndim > 1 else 1.0
        shrunk += old.ndim > 1
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), times * old, rtol=1e-5)
    assert 0 < shrunk < len(variables)


ON_JAX = """
import keras, numpy as np
from finegrain.training.optimizers.averaged import AveragedOptimizer
from finegrain.training.optimizers.stage_optimizer import GroupedOptimizer
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
rng = np.random.default_rng(1)
model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
first, second = (layer.trainable_variables for layer in model.layers)
optimizers = [keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.1)]
grouped = GroupedOptimizer(optimizers, [first, second], [1.0, 10.0], 0.5)
averaged = AveragedOptimizer(grouped, 0.9)
averaged.build(model.trainable_variables)
model.compile(averaged, "mse")
x = np.random.default_rng(0).normal(size=(16, 4)); y = x[:, :2] * 3
model.fit(x, y, epochs=4, batch_size=4, shuffle=False, verbose=0)
found = [*model.get_weights(), *map(keras.ops.convert_to_numpy, averaged.averages)]
print(",".join(f"{v:.5f}" for weights in found for v in weights.ravel()))
"""


def test_jax_learns_as_tensorflow_does():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    found = []
    for backend in ("tensorflow", "jax"):
        done = subprocess.run(
            [sys.executable, "-c", ON_JAX],
            capture_output=True,
            text=True,
            env={**os.environ, "KERAS_BACKEND": backend},
        )
        assert done.returncode == 0, done.stderr
        found.append([float(v) for v in done.stdout.splitlines()[-1].split(",")])
    np.testing.assert_allclose(found[1], found[0], atol=2e-4)
