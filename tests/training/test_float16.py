"""Training under mixed_float16: the loss scale is saved, resumed and out of the way."""

import keras
import numpy as np
import pytest

from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.runs.plateau import judge
from finegrain.runs.stage_folder import StageFolder
from finegrain.training.objectives import find_objective
from finegrain.training.stage import Stage
from finegrain.training.train_stage import prepare_stage

STAGE = Stage("stage", "block_16_expand", "sgd", 0.01, 3)


@pytest.fixture(autouse=True)
def float16():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def prepared():
    keras.utils.set_random_seed(0)
    spec = find_backbone("mobilenet_v2_0.35")
    objective = find_objective("softmax")
    model = objective.model(build_backbone(spec, "none", (32, 32)), spec, 3, dropout=0.0)
    prepare_stage(model, objective, STAGE, steps=1)
    return model


def train(model, folder, epochs):
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    for _ in range(epochs):
        model.train_on_batch(images, np.eye(3, dtype="float32")[[0, 1, 2, 0]])
        model.optimizer.learning_rate = 0.01 * 0.5 ** (folder.epochs + 1)
        row = {"epoch": folder.epochs + 1, "val_loss": 1.0}
        folder.save_epoch(model, row, judge([1.0], 0, 0))


def values(model):
    return [*model.get_weights(), *map(keras.ops.convert_to_numpy, model.optimizer.variables)]


def test_a_resumed_training_goes_on_with_its_loss_scale(tmp_path):
    whole = prepared()
    assert isinstance(whole.optimizer, keras.optimizers.LossScaleOptimizer)
    # Built with the model, or a checkpoint has nothing to load into.
    assert whole.optimizer.built
    whole.optimizer.dynamic_scale.assign(64.0)
    train(whole, StageFolder(tmp_path / "whole", {}), 3)
    assert int(whole.optimizer.step_counter) == 3
    assert float(whole.optimizer.learning_rate) == pytest.approx(0.00125)

    folder = StageFolder(tmp_path / "cut", {})
    first = prepared()
    first.optimizer.dynamic_scale.assign(64.0)
    train(first, folder, 1)
    again = prepared()
    folder.load_last(again)
    assert float(again.optimizer.dynamic_scale) == 64.0
    assert float(again.optimizer.learning_rate) == pytest.approx(0.005)
    train(again, folder, 2)
    for ours, theirs in zip(values(again), values(whole), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
