"""One model, three backends: the same answers and the same loss."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.training.objectives import find_objective
from finegrain.training.pairs import same_class_targets
from finegrain.training.partners import swap_positive_partners

LABELS = np.array([0, 1, 1, 0, 2])

READER = """
import json, sys
import keras, numpy
import finegrain.models.layers
from finegrain.training.objectives import find_objective
from finegrain.training.stage import Stage
from finegrain.training.train_stage import prepare_stage
folder = sys.argv[1]
model = keras.saving.load_model(folder + "/model.keras", safe_mode=True)
batch = dict(numpy.load(folder + "/batch.npz"))
inputs = {"image": batch["image"], "partner": batch["partner"]}
targets = {"category": batch["category"], "same_class": batch["same_class"]}
answer = model.predict(inputs, verbose=0)
multi_loss = find_objective("multi-loss")
prepare_stage(model, multi_loss, Stage("2", "block_16_expand", "sgd", 1e-2, 1), steps=1)
first = model.evaluate(inputs, targets, verbose=0, return_dict=True)["loss"]
model.fit(inputs, targets, epochs=3, batch_size=5, shuffle=False, verbose=0)
last = model.evaluate(inputs, targets, verbose=0, return_dict=True)["loss"]
print(json.dumps({"backend": keras.backend.backend(), "first": first, "last": last,
                  "answer": {name: value.tolist() for name, value in answer.items()}}))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A multi-loss model on disk, a batch, and what TensorFlow makes of them."""
    folder = tmp_path_factory.mktemp("backends")
    keras.utils.set_random_seed(2)
    spec = find_backbone("mobilenet_v2_0.35")
    backbone = build_backbone(spec, "none", (32, 32))
    model = find_objective("multi-loss").model(backbone, spec, 3, dropout=0.0)
    model.get_layer("same_class").kernel.assign(np.random.normal(0, 0.5, (1280, 2)))
    model.save(folder / "model.keras")
    partner = swap_positive_partners(LABELS)
    np.savez(
        folder / "batch.npz",
        image=np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype("float32"),
        partner=partner,
        category=np.eye(3, dtype="float32")[LABELS],
        same_class=same_class_targets(np.eye(3)[LABELS], partner),
    )
    return folder, read_on("tensorflow", folder)


def read_on(backend, folder):
    done = subprocess.run(
        [sys.executable, "-c", READER, str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["backend"] == backend
    return found


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_saved_model_answers_and_learns_alike(saved, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, expected = saved
    found = read_on(backend, folder)
    for name, answer in expected["answer"].items():
        np.testing.assert_allclose(found["answer"][name], answer, atol=1e-4)
    assert found["first"] == pytest.approx(expected["first"], rel=1e-3)
    assert found["last"] == pytest.approx(expected["last"], rel=2e-2)
    assert expected["last"] < expected["first"]
