"""Half-size weights files load like any other."""

import time

import keras
import numpy as np

from finegrain.models.half_weights import save_half_weights
from finegrain.models.xception_small import XceptionSmall


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
