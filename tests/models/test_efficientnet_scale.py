"""EfficientNet sees the same inputs whichever way its ImageNet weights come in."""

import keras
import numpy as np
import pytest

from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone

SIDE = 64


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A weights file with ImageNet's statistics, which Keras takes for its download."""
    keras.utils.set_random_seed(3)
    model = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(SIDE, SIDE, 3)
    )
    norm = next(layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    norm.adapt_mean.assign([0.485, 0.456, 0.406])
    norm.adapt_variance.assign([0.229, 0.224, 0.225])
    file = tmp_path / "b0.weights.h5"
    model.save_weights(file)
    from keras.src.applications import efficientnet

    monkeypatch.setattr(efficientnet.file_utils, "get_file", lambda *a, **k: str(file))
    return file


def test_from_keras_from_a_file_and_from_a_checkpoint(stand_in, tmp_path):
    images = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype("float32")
    keras_own = keras.applications.EfficientNetB0(
        include_top=False, weights="imagenet", input_shape=(SIDE, SIDE, 3)
    )
    expected = np.asarray(keras_own(images))
    spec = find_backbone("efficientnet_b0")
    downloaded = build_backbone(spec, "imagenet", (SIDE, SIDE))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(downloaded(images), expected, atol=1e-4 * scale)
    from_file = build_backbone(spec, str(stand_in), (SIDE, SIDE))
    np.testing.assert_allclose(from_file(images), expected, atol=1e-4 * scale)
    # As stage 3 takes up a run: built without weights, then the checkpoint.
    downloaded.save_weights(tmp_path / "epoch.weights.h5")
    resumed = build_backbone(spec, "none", (SIDE, SIDE))
    assert np.abs(np.asarray(resumed(images)) - expected).max() > 1e-2 * scale
    resumed.load_weights(tmp_path / "epoch.weights.h5")
    np.testing.assert_allclose(resumed(images), expected, atol=1e-4 * scale)
