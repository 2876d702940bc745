"""Losses of all pairs of a batch, against their formulas pair by pair."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from finished_runs import SIDE, small_backbone
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.models.backbone_table import find_backbone
from finegrain.training.objectives import find_objective
from finegrain.training.objectives.pair_losses import PAIR_LOSSES, PairLoss

KINDS = sorted(PAIR_LOSSES)
CLASSES, WIDTH = 4, 6


def mean(values):
    return sum(values) / len(values) if values else 0.0


def slow_contrastive(distances, cosines, near, far):
    return mean([distances[j] ** 2 for j in near]) + mean(
        [max(0, 1 - distances[k]) ** 2 for k in far]
    )


def slow_supervised_contrastive(distances, cosines, near, far):
    below = sum(math.exp(cosines[a] / 0.1) for a in [*near, *far])
    return -mean([math.log(math.exp(cosines[j] / 0.1) / below) for j in near])


def slow_circle(distances, cosines, near, far):
    total = 0.0
    for j in near:
        for k in far:
            pull, push = max(0, 1.25 - cosines[j]), max(0, cosines[k] + 0.25)
            total += math.exp(64 * (push * (cosines[k] - 0.25) - pull * (cosines[j] - 0.75)))
    return math.log(1 + total) / 64


def slow_triplet(distances, cosines, near, far):
    worst = max(distances[j] - distances[k] for j in near for k in far) if far else -math.inf
    return math.log(1 + math.exp(worst))


SLOW = {
    "contrastive": slow_contrastive,
    "supervised-contrastive": slow_supervised_contrastive,
    "circle": slow_circle,
    "triplet": slow_triplet,
}


def slow_losses(kind, labels, embeddings):
    directions = [row / np.linalg.norm(row) for row in embeddings.astype(float)]
    losses = []
    for i, label in enumerate(labels):
        near = [j for j, other in enumerate(labels) if other == label and j != i]
        far = [k for k, other in enumerate(labels) if other != label]
        distances = [float(np.linalg.norm(directions[i] - other)) for other in directions]
        cosines = [float(directions[i] @ other) for other in directions]
        losses.append(SLOW[kind](distances, cosines, near, far) if near else 0.0)
    return losses


def one_hot(labels):
    return np.eye(CLASSES, dtype="float32")[np.asarray(labels, int)]


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, CLASSES, count), rng.normal(size=(count, WIDTH)).astype("float32")


def found_losses(kind, labels, embeddings):
    losses = PairLoss(kind, reduction=None)(one_hot(labels), embeddings)
    return keras.ops.convert_to_numpy(losses)


def slopes(kind, labels, embeddings):
    embeddings = tf.Variable(embeddings)
    with tf.GradientTape() as tape:
        loss = PairLoss(kind)(one_hot(labels), embeddings)
    return float(loss), tape.gradient(loss, embeddings).numpy()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 12), seed=st.integers(0, 99))
def test_every_loss_is_its_formula_pair_by_pair(kind, count, seed):
    labels, embeddings = drawn(count, seed)
    expected = slow_losses(kind, labels, embeddings)
    found = found_losses(kind, labels, embeddings)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(9)), stretch=st.floats(0.5, 100))
def test_neither_the_order_of_a_batch_nor_lengths_matter(kind, order, stretch):
    labels, embeddings = drawn(9)
    expected = found_losses(kind, labels, embeddings)[order]
    found = found_losses(kind, labels[order], np.float32(stretch) * embeddings[order])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_positive_pair_there_is_nothing_to_learn(kind):
    for labels in ([0, 1, 2, 3], [2]):
        loss, slope = slopes(kind, labels, drawn(len(labels))[1])
        assert loss == 0 and not slope.any()


@pytest.mark.parametrize("kind", KINDS)
def test_equal_and_vanished_embeddings_have_slopes_that_are_numbers(kind):
    equal = np.tile(drawn(1)[1], (4, 1))
    for labels in ([0, 0, 1, 1], [0, 0, 0, 0]):
        for embeddings in (equal, np.zeros_like(equal), 1e4 * equal):
            loss, slope = slopes(kind, labels, embeddings)
            assert math.isfinite(loss) and np.isfinite(slope).all()


@pytest.mark.parametrize("kind", KINDS)
def test_following_the_slope_draws_classes_together(kind):
    labels, embeddings = np.repeat(np.arange(3), 4), drawn(12)[1]
    before, _ = slopes(kind, labels, embeddings)
    for _ in range(12):
        embeddings = embeddings - 5 * slopes(kind, labels, embeddings)[1]
    after, _ = slopes(kind, labels, embeddings)
    assert after < 0.8 * before
    directions = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    distances = np.linalg.norm(directions[:, None] - directions, axis=2) + 9 * np.eye(12)
    assert (labels[distances.argmin(axis=1)] == labels).all()


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=24), parts=st.integers(1, 6)
)
def test_parts_keep_classes_whole_as_far_as_they_fit(labels, parts):
    objective, images = find_objective("triplet"), np.arange(len(labels))
    batch = objective.batch(images, one_hot(labels), None, 0, 0)
    cut = objective.split(*batch, parts, np.random.default_rng(0))
    most = -(-len(labels) // parts)
    assert len(cut) <= parts and all(1 <= len(rows) <= most for rows, _ in cut)
    assert sorted(np.concatenate([rows for rows, _ in cut])) == images.tolist()
    for rows, targets in cut:
        for name in ("category", "pairs"):
            np.testing.assert_array_equal(targets[name], one_hot(labels)[rows])
    spread = [sum(label in np.array(labels)[rows] for rows, _ in cut) for label in set(labels)]
    # Each part is filled up by one class at most.
    assert sum(count - 1 for count in spread) < max(2, parts)


def test_balanced_batches_lose_no_positive_pair_to_parts():
    objective, labels = find_objective("circle"), np.tile(np.arange(4), 8)
    batch = objective.batch(np.arange(32), one_hot(labels), None, 0, 0)
    for rows, _ in objective.split(*batch, 2, np.random.default_rng(0)):
        assert len(rows) == 16 and len(set(labels[rows])) == 2


def test_the_finished_model_is_a_plain_softmax(tmp_path):
    keras.utils.set_random_seed(0)
    objective = find_objective("supervised-contrastive")
    model = objective.model(small_backbone(), find_backbone("mobilenet_v2"), 3, from_zero=False)
    images = np.random.default_rng(0).uniform(0, 255, (4, SIDE, SIDE, 3)).astype("float32")
    outputs = model(images)
    assert set(outputs) == {"category", "pairs"}
    objective.finished(model).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded.output_names == ["category"]
    expected = keras.ops.softmax(outputs["category"])
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, atol=1e-5)
