"""A model in float32 throughout, and its weights in float16."""

import json
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from finegrain.models.backbone import BACKBONE_LAYER, build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import classifier
from finegrain.models.model_precision import in_full_precision, save_half_weights
from finegrain.models.multi_loss import multi_loss_model
from finegrain.models.networks import XceptionSmall
from finegrain.runs.run_folder import MODEL, RunFolder

READER = """
import json, sys
import keras, numpy
import finegrain.models.layers
model = keras.saving.load_model(sys.argv[1] + "/model.keras", safe_mode=True)
batch = dict(numpy.load(sys.argv[1] + "/batch.npz"))
answer = model.predict_on_batch(batch)
weights = {f"weight_{i}": weight for i, weight in enumerate(model.get_weights())}
numpy.savez(sys.argv[1] + "/answer.npz", **answer, **weights)
layers = model._flatten_layers(include_self=True, recursive=True)
print(json.dumps({layer.name: layer.dtype_policy.name for layer in layers}))
"""


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def mixed(request):
    """A multi-loss model built under a mixed policy, the policy still in force."""
    keras.config.set_dtype_policy(request.param)
    keras.utils.set_random_seed(0)
    spec = find_backbone("mobilenet_v2_0.35")
    yield multi_loss_model(build_backbone(spec, "none", (32, 32)), spec, 3, dropout=0.5)
    keras.config.set_dtype_policy("float32")


def test_the_saved_model_is_float32_in_every_layer(mixed, tmp_path):
    batch = {
        "image": np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32"),
        "partner": np.array([1, 0, 3, 2], dtype="int32"),
    }
    np.savez(tmp_path / "batch.npz", **batch)
    mixed.get_layer("same_class").kernel.assign(np.random.normal(0, 0.5, (1280, 2)))
    mixed.compile("adam", "categorical_crossentropy")
    assert mixed.get_layer(BACKBONE_LAYER).get_layer("Conv1").dtype_policy.name != "float32"

    RunFolder(tmp_path, {}).save_model(mixed)

    assert (tmp_path / MODEL).is_file()
    done = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    policies = json.loads(done.stdout.splitlines()[-1])
    assert len(policies) > 150
    assert set(policies.values()) <= {"float32", "int32"}, policies
    found = np.load(tmp_path / "answer.npz")
    for index, weight in enumerate(mixed.get_weights()):
        np.testing.assert_array_equal(found[f"weight_{index}"], weight)
    for name, answer in mixed.predict_on_batch(batch).items():
        np.testing.assert_allclose(found[name], answer, atol=0.03)


def test_everything_but_the_backbone_is_float32(mixed):
    for layer in mixed.layers:
        if layer.name not in (BACKBONE_LAYER, "image", "partner"):
            assert layer.compute_dtype == "float32", layer.name
    assert all(weight.dtype == "float32" for weight in mixed.weights)
    image = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    # An image beside itself differs by nothing at all.
    answer = mixed({"image": image, "partner": np.array([0, 1])})
    np.testing.assert_array_equal(answer["same_class"], np.full((2, 2), 0.5))
    assert keras.backend.standardize_dtype(classifier(mixed)(image).dtype) == "float32"


def test_large_embeddings_do_not_overflow_float16(mixed):
    embedding = keras.ops.convert_to_tensor([[300.0], [-300.0]], dtype="float32")
    partner = mixed.get_layer("take_partner")([embedding, np.array([1, 0])])
    squared = mixed.get_layer("squared_difference")([embedding, partner])
    np.testing.assert_array_equal(squared, [[360_000.0], [360_000.0]])


def test_half_weights_come_back_in_float32_rounded_to_float16(tmp_path):
    keras.utils.set_random_seed(3)
    model = XceptionSmall(width=0.1)
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(0, 0.3, w.shape).astype("float32") for w in model.weights])
    model.save_weights(tmp_path / "full.weights.h5")
    half = tmp_path / "new folder" / "half.weights.h5"
    save_half_weights(model, half)
    assert half.stat().st_size < 0.7 * (tmp_path / "full.weights.h5").stat().st_size
    restored = XceptionSmall(width=0.1, weights=half)
    for before, after in zip(model.weights, restored.weights, strict=True):
        assert keras.backend.standardize_dtype(after.dtype) == "float32"
        wanted = keras.ops.convert_to_numpy(before)
        if wanted.ndim > 1:
            wanted = wanted.astype("float16").astype("float32")
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(after), wanted)


def test_the_same_weights_make_the_same_file(tmp_path):
    model = XceptionSmall(width=0.1)
    save_half_weights(model, tmp_path / "a.weights.h5")
    time.sleep(1.1)
    save_half_weights(model, tmp_path / "b.weights.h5")
    assert (tmp_path / "a.weights.h5").read_bytes() == (tmp_path / "b.weights.h5").read_bytes()


def test_a_copy_normalizes_its_input_as_the_original_does():
    image = keras.Input((4, 4, 3))
    norm = keras.layers.Normalization()
    model = keras.Model(image, norm(image))
    norm.adapt_mean.assign([1.0, 2.0, 3.0])
    norm.adapt_variance.assign([4.0, 9.0, 16.0])
    norm.finalize_state()
    copy = in_full_precision(model)
    pixels = np.full((1, 4, 4, 3), 5, "float32")
    answer = keras.ops.convert_to_numpy(copy(pixels))[0, 0, 0]
    np.testing.assert_allclose(answer, [2, 1, 0.5], rtol=1e-6)
