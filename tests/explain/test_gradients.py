"""The same gradients on every backend, and the same heat."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from finegrain.explain.grad_cam import GradCam, PairCam, gradients
from finegrain.models.backbone_table import find_backbone
from finegrain.models.multi_loss import multi_loss_model

ROOT = Path(__file__).parents[2]

READER = """
import json, sys
import keras, numpy as np
import finegrain.models.layers
from finegrain.explain.grad_cam import GradCam, PairCam, gradients
model = keras.saving.load_model(sys.argv[1], compile=False)
one, other = np.load(sys.argv[2])
heats = [GradCam(model).heat(one, 1), *PairCam(model).heats(one, other)]
none = gradients(lambda a, b: keras.ops.sum(a), [np.ones((2, 2)), np.ones(3)])
print(json.dumps([keras.backend.backend(), [heat.tolist() for heat in heats],
                  [one.tolist() for one in none]]))
"""


def small_model():
    """A multi-loss model on one convolution, which JAX compiles soon."""
    keras.utils.set_random_seed(1)
    image = keras.Input((32, 32, 3))
    feature_map = keras.layers.Conv2D(16, 8, strides=8, activation="relu")(image)
    backbone = keras.Model(image, feature_map, name="backbone")
    model = multi_loss_model(backbone, find_backbone("mobilenet_v2"), 3)
    model.get_layer("same_class").kernel.assign(np.random.normal(0, 1, (16, 2)))
    return model


def test_each_value_has_the_gradient_of_its_own():
    a, b, unused = np.array([1.0, 2.0]), np.array([3.0, 5.0]), np.ones((2, 3))
    slopes = gradients(lambda a, b, unused: a * a * b, [a, b, unused])
    np.testing.assert_allclose(slopes[0], 2 * a * b)
    np.testing.assert_allclose(slopes[1], a * a)
    np.testing.assert_array_equal(slopes[2], np.zeros((2, 3)))
    assert {slope.dtype for slope in slopes} == {np.dtype("float32")}


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_same_heat_on_another_backend(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    model = small_model()
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    command = [sys.executable, "-c", READER, tmp_path / "model.keras", tmp_path / "images.npy"]
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert done.returncode == 0, done.stderr
    name, heats, none = json.loads(done.stdout.splitlines()[-1])
    assert name == backend
    assert none == [[[1, 1], [1, 1]], [0, 0, 0]]
    expected = [GradCam(model).heat(images[0], 1), *PairCam(model).heats(*images)]
    for heat, right in zip(heats, expected, strict=True):
        np.testing.assert_allclose(heat, right, atol=1e-3)
