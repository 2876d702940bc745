"""Models of other backends, and what OpenVINO does on the side."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

# A model of the JAX backend, opened and asked in a process of its own.
ASK_ON_JAX = """
import json, sys
import keras, numpy as np
from finegrain.inference.opening import open_inference
from finegrain.models import layers
model = keras.saving.load_model(sys.argv[1], compile=False)
images = np.load(sys.argv[2])
opened = open_inference(model, images, bfloat16=False)
answers = opened.run(images)
np.savez(sys.argv[3], *answers)
print(json.dumps([keras.backend.backend(), opened.describe()]))
"""


def python(code, *arguments, **surroundings):
    """The code in a process of its own that imports from the repository."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        timeout=300,
        env={**os.environ, **surroundings},
        capture_output=True,
        text=True,
    )


def test_a_model_of_the_jax_backend(openvino, network, images, tmp_path):
    pytest.importorskip("jax")
    network.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    files = [tmp_path / name for name in ("model.keras", "images.npy", "answers.npz")]
    done = python(ASK_ON_JAX, *files, KERAS_BACKEND="jax", TF_CPP_MIN_LOG_LEVEL="3")
    assert done.returncode == 0, done.stderr
    backend, sentence = json.loads(done.stdout.splitlines()[-1])
    assert backend == "jax"
    assert sentence.startswith("OpenVINO") and "agrees with Keras on 8 images" in sentence
    assert "oneDNN" not in done.stderr
    answers = list(np.load(files[2]).values())
    for answer, right in zip(answers, network(images.astype("float32")), strict=True):
        np.testing.assert_allclose(answer, keras.ops.convert_to_numpy(right), atol=2e-3, rtol=1e-3)


def test_openvino_does_not_report_its_use(openvino):
    done = python(
        "import sys\n"
        "from finegrain.inference.openvino_engine import load_openvino\n"
        "assert load_openvino().Core\n"
        "print('openvino_telemetry' in sys.modules)\n"
    )
    assert done.stdout == "False\n", done.stderr
