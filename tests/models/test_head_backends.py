"""Image heads saved here answer and learn in a fresh process, whatever its backend."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from finegrain.models.backbone import BACKBONE_LAYER
from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.classifier import embedder
from finegrain.models.image_heads import find_head
from finegrain.models.multi_loss import multi_loss_model

# All layers of all heads; `attention` is a part of `bilinear_attention`.
HEADS = ["bilinear", "bilinear_attention", "cbam", "compact_bilinear", "se", "gem"]

READER = """
import json, sys
import keras, numpy
import finegrain.models.layers
folder, *names = sys.argv[1:]
images = numpy.load(folder + "/images.npy")
partner = numpy.array([1, 0, 2, 3])
targets = {"category": numpy.eye(3, dtype="float32")[[0, 0, 1, 2]],
           "same_class": numpy.eye(2, dtype="float32")[[1, 1, 0, 0]]}
found = {"backend": keras.backend.backend(), "embedding": {}, "finite": {}, "losses": {}}
for name in names:
    model = keras.saving.load_model(f"{folder}/{name}.keras", safe_mode=True)
    embedding = keras.Model(model.get_layer("image").output, model.get_layer("embedding").output)
    answer = keras.ops.convert_to_numpy(embedding(images))
    found["embedding"][name] = answer.tolist()
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    batch = {"image": images, "partner": partner}
    found["losses"][name] = [
        float(model.train_on_batch(batch, targets, return_dict=True)["loss"]) for _ in range(4)
    ]
    # Features that are zero throughout, then as large as pixels can make them.
    for factor in (0, 1e6):
        model.train_on_batch({"image": images * factor, "partner": partner}, targets)
    found["finite"][name] = all(bool(numpy.isfinite(w).all()) for w in model.get_weights())
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of one small model a head, and their embeddings of four images."""
    folder = tmp_path_factory.mktemp("heads")
    images = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype("float32")
    np.save(folder / "images.npy", images)
    embeddings = {}
    for name in HEADS:
        keras.utils.set_random_seed(1)
        compact = 32 if name == "compact_bilinear" else 0
        head = find_head("plain", pooling="gem") if name == "gem" else find_head(name, compact)
        model = multi_loss_model(
            tiny_backbone(),
            BackboneSpec("tiny", None, 16, "none"),
            3,
            0.0,
            8,
            head=head,
            hidden_dropout=0.0,
            neck="bn" if name == "gem" else "none",
            seed=7,
        )
        if name == "compact_bilinear":
            # A model must come back with the very tables it was trained with, even if another
            # NumPy should draw others.
            buckets = model.get_layer("tensor_sketch").buckets[0]
            buckets.assign((keras.ops.convert_to_numpy(buckets) + 5) % 32)
        embeddings[name] = np.asarray(embedder(model)(images))
        model.save(folder / f"{name}.keras")
    return folder, embeddings


def tiny_backbone():
    """A convolution without bias on pixels as they are: black images have features of zero."""
    image = keras.Input((16, 16, 3))
    features = keras.layers.Conv2D(12, 4, strides=4, use_bias=False)(image / 255.0)
    backbone = keras.Model(image, features)
    backbone.name = BACKBONE_LAYER
    return backbone


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_saved_heads_answer_and_learn_alike(saved, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, embeddings = saved
    done = subprocess.run(
        [sys.executable, "-c", READER, str(folder), *HEADS],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["backend"] == backend
    for name in HEADS:
        np.testing.assert_allclose(
            found["embedding"][name], embeddings[name], rtol=1e-3, atol=2e-5, err_msg=name
        )
        assert found["finite"][name], name
        losses = found["losses"][name]
        assert np.isfinite(losses).all() and losses[-1] < losses[0], (name, losses)
