"""ArcFace against the paper's formula, one image at a time."""

import math

import keras
import numpy as np
import pytest

from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.training.objectives import find_objective
from finegrain.training.objectives.arcface import ArcFaceLoss

SCALE, MARGIN = 16.0, 0.5


def slow_loss(cosines, label):
    """Equation 3 of the paper: -log softmax(s cos(theta + m)) of the true class."""
    angles = [math.acos(cosine) for cosine in cosines]
    angles[label] += MARGIN
    powers = [math.exp(SCALE * math.cos(angle)) for angle in angles]
    return -math.log(powers[label] / sum(powers))


def random_cosines(count=40, classes=5):
    # The true angle and the margin stay within half a turn.
    return np.random.default_rng(0).uniform(-0.85, 0.99, (count, classes))


def test_the_loss_is_the_papers():
    cosines = random_cosines()
    labels = np.random.default_rng(1).integers(0, 5, len(cosines))
    expected = [slow_loss(row.tolist(), label) for row, label in zip(cosines, labels, strict=True)]
    loss = ArcFaceLoss(SCALE, MARGIN, reduction=None)
    found = loss(np.eye(5, dtype="float32")[labels], (SCALE * cosines).astype("float32"))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-4, atol=1e-5)


def test_beyond_half_a_turn_it_falls_on_and_its_slope_is_a_number():
    import tensorflow as tf

    cosines = tf.Variable([[value, 0.0] for value in np.linspace(-1, 1, 41)])
    labels = np.eye(2, dtype="float32")[[0] * 41]
    with tf.GradientTape() as tape:
        losses = ArcFaceLoss(SCALE, MARGIN, reduction=None)(labels, SCALE * cosines)
        total = tf.reduce_sum(losses)
    assert (np.diff(losses.numpy()) < 0).all()
    slopes = tape.gradient(total, cosines).numpy()
    assert np.isfinite(slopes).all()


def test_a_soft_label_takes_its_share_of_the_margin():
    cosines = (SCALE * random_cosines(1)).astype("float32")
    shares = np.array([[0.7, 0.3, 0, 0, 0]], "float32")
    logits = cosines / SCALE
    moved = np.cos(np.arccos(logits) + MARGIN)
    logits = SCALE * (logits + shares * (moved - logits))
    expected = -(shares * (logits - np.log(np.exp(logits).sum()))).sum()
    found = ArcFaceLoss(SCALE, MARGIN)(shares, cosines)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_smoothed_labels_share_behind_the_margin():
    cosines = (SCALE * random_cosines(1)).astype("float32")
    one_hot = np.eye(5, dtype="float32")[[2]]
    moved = np.cos(np.arccos(cosines / SCALE) + MARGIN)
    logits = np.where(one_hot == 1, SCALE * moved, cosines)
    shares = 0.9 * one_hot + 0.02
    expected = -(shares * (logits - np.log(np.exp(logits).sum()))).sum()
    found = ArcFaceLoss(SCALE, MARGIN, label_smoothing=0.1)(one_hot, cosines)
    assert float(found) == pytest.approx(expected, rel=1e-4)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    spec = find_backbone("mobilenet_v2_0.35")
    backbone = build_backbone(spec, "none", (32, 32))
    built = find_objective("arcface").model(backbone, spec, 3, hidden=7)
    # The embeddings of fresh weights are next to zero.
    built.get_layer("hidden").bias.assign(np.random.default_rng(0).uniform(0, 1, 7))
    return built


def test_the_training_model_gives_scaled_cosines(model):
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    logits = keras.ops.convert_to_numpy(model(images))
    assert logits.shape == (4, 3)
    below = keras.Model(model.input, model.get_layer("hidden").output)(images)
    features = keras.ops.convert_to_numpy(below)
    kernel = keras.ops.convert_to_numpy(model.get_layer("category").kernel)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    kernel /= np.linalg.norm(kernel, axis=0, keepdims=True)
    np.testing.assert_allclose(logits, 64 * features @ kernel, rtol=1e-3, atol=1e-3)


def test_the_finished_model_is_a_plain_softmax_of_them(model, tmp_path):
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    finished = find_objective("arcface").finished(model)
    finished.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    expected = keras.ops.softmax(model(images))
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, rtol=1e-3, atol=1e-5)
    assert isinstance(loaded.get_layer("category"), keras.layers.Dense)
