"""Running out of GPU memory, played by a layer that raises the backend's own error."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from finegrain.errors import UserError
from finegrain.runs.plateau import judge
from finegrain.runs.stage_folder import StageFolder
from finegrain.training.batches import training_parts
from finegrain.training.objectives import find_objective
from finegrain.training.optimizers.accumulated import model_in_parts
from finegrain.training.smaller_batches import (
    fit_in_memory,
    is_out_of_memory,
    keep_state,
    put_state,
)

BATCH, STEPS, CLASSES = 8, 2, 3
SPLIT = find_objective("softmax").split
COMPILE = {"loss": "categorical_crossentropy", "metrics": ["accuracy"]}


class SmallDevice(keras.layers.Layer):
    """Passes a batch through; in training it has memory for `limit` images only."""

    limit = 1000

    def check(self, count):
        if count > self.limit:
            raise MemoryError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate ...")
        return np.int32(0)

    def call(self, images, training=None):
        backend = keras.backend.backend()
        if not training or isinstance(images, keras.KerasTensor):
            return images
        if backend == "tensorflow":
            import tensorflow as tf

            # TensorFlow makes its ResourceExhaustedError of it.
            count = tf.shape(images)[0]
            with tf.control_dependencies([tf.py_function(self.check, [count], tf.int32)]):
                return tf.identity(images)
        if backend == "jax":
            from jax.experimental import io_callback

            # In the middle of a step, whose inputs have been given away by then.
            io_callback(self.check, np.zeros((), np.int32), images.shape[0])
        elif len(images) > self.limit:
            import torch

            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return images


def small_model():
    keras.utils.set_random_seed(1)
    image = keras.Input((4, 4, 3))
    hidden = keras.layers.Conv2D(4, 3, activation="relu")(SmallDevice(name="device")(image))
    hidden = keras.layers.Dropout(0.0, seed=1)(keras.layers.Flatten()(hidden))
    return keras.Model(image, keras.layers.Dense(CLASSES, activation="softmax")(hidden))


def batches_from(number):
    while True:
        rng = np.random.default_rng(number)
        labels = np.eye(CLASSES, dtype="float32")[rng.integers(0, CLASSES, BATCH)]
        yield rng.normal(size=(BATCH, 4, 4, 3)).astype("float32"), labels
        number += 1


class Keeper(keras.callbacks.Callback):
    """Saves every epoch, and lets the memory shrink after some."""

    def __init__(self, folder, whole, limits):
        super().__init__()
        self.folder, self.whole, self.limits = folder, whole, limits

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, "learning_rate": 0.02, "seconds": 1.0, **logs}
        row |= {"val_loss": logs["loss"], "val_accuracy": logs["accuracy"]}
        self.folder.save_epoch(self.whole, row, judge([], 0, 0))
        self.whole.get_layer("device").limit = self.limits.get(epoch + 1, 1000)


def train(path, epochs, limits):
    """A training as `train_stage` does it; `limits` is the memory after so many epochs."""
    folder, model = StageFolder(path, {}), small_model()
    model.get_layer("device").limit = limits.get(folder.epochs, 1000)

    def prepare():
        model.compile(optimizer=keras.optimizers.Adam(0.02), **COMPILE)
        model.optimizer.build(model.trainable_variables)
        if folder.epochs:
            folder.load_last(model)

    def restore():
        put_state(model, start)
        prepare()

    def fit(parts):
        batches = batches_from(folder.epochs * STEPS)
        fitted = model_in_parts(model, parts, COMPILE)
        fitted.fit(
            (b for b in (training_parts(batches, SPLIT, parts) if parts > 1 else batches)),
            steps_per_epoch=STEPS * parts,
            initial_epoch=folder.epochs,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=[Keeper(folder, model, limits)],
        )

    prepare()
    start = keep_state(model)
    parts = fit_in_memory(fit, restore, BATCH, BATCH)
    values = [*model.get_weights(), *map(keras.ops.convert_to_numpy, model.optimizer.variables)]
    return parts, values, folder.history


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"), 3, {})


def assert_same(found, expected):
    for ours, theirs in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-6)
    assert [row["epoch"] for row in found[2]] == [1, 2, 3]
    for ours, theirs in zip(found[2], expected[2], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_too_small_a_memory_halves_the_batch_and_changes_nothing_else(whole, tmp_path, capsys):
    found = train(tmp_path, 3, {0: 3, 1: 3, 2: 3})
    assert (whole[0], found[0]) == (1, 4)
    said = capsys.readouterr().out
    assert "each batch of 8 in 2 parts" in said and "each batch of 8 in 4 parts" in said
    assert said.count("\n") == 2
    assert_same(found, whole)


def test_memory_that_runs_out_later_loses_no_finished_epoch(whole, tmp_path):
    found = train(tmp_path, 3, {1: 4, 2: 4})
    assert found[0] == 2
    assert_same(found, whole)


def test_a_run_goes_on_with_and_without_parts(whole, tmp_path):
    assert train(tmp_path, 1, {0: 4})[0] == 2
    assert train(tmp_path, 2, {})[0] == 1
    found = train(tmp_path, 3, {2: 2})
    assert found[0] == 4
    assert_same(found, whole)


def test_memory_for_not_even_one_image_is_told():
    def fit(parts):
        tried.append(parts)
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate ...")

    tried = []
    with pytest.raises(UserError, match="does not hold 1 image;"):
        fit_in_memory(fit, lambda: None, 6, 6)
    assert tried == [1, 2, 4, 6]


def named(name):
    return type(name, (RuntimeError,), {})


@pytest.mark.parametrize(
    "error",
    [
        named("ResourceExhaustedError")("Graph execution error"),
        named("OutOfMemoryError")("CUDA out of memory. Tried to allocate 20.00 MiB"),
        named("JaxRuntimeError")("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9"),
        named("InternalError")("Failed copying input tensor: Dst tensor is not initialized."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_every_backends_words_for_it_are_known(error):
    assert is_out_of_memory(error)
    try:
        try:
            raise error
        except RuntimeError:
            raise ValueError("Exception encountered when calling layer") from None
    except ValueError as wrapped:
        assert is_out_of_memory(wrapped)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes do not match"),
        MemoryError("Unable to allocate 9.00 GiB for an array"),
        OSError(28, "No space left on device"),
        UserError("the photograph out of memory.jpg can no longer be read"),
    ],
)
def test_other_errors_are_not_mistaken_for_it_and_pass(error):
    def fit(parts):
        raise error

    assert not is_out_of_memory(error)
    with pytest.raises(type(error)):
        fit_in_memory(fit, lambda: None, 8, 8)


@pytest.mark.slow
def test_jax_halves_the_batch_too():
    if importlib.util.find_spec("jax") is None or keras.backend.backend() != "tensorflow":
        pytest.skip("jax is not installed, or runs already")
    chosen = [f"{__file__}::{test_memory_that_runs_out_later_loses_no_finished_epoch.__name__}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
