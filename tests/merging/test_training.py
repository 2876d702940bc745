"""Merged classifiers against slow references: NumPy's own Adam, scikit-learn on one matrix."""

from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler, normalize

from finegrain.embeddings.feature_file import FeatureFile
from finegrain.errors import UserError
from finegrain.evaluation.metrics import log_loss
from finegrain.merging.answers import answer
from finegrain.merging.joined import join_features
from finegrain.merging.split import split_rows
from finegrain.merging.training import MASKS, MergedTraining, branches, train_merged
from finegrain.models.merged import dropout_mask, merged_model

WIDTHS = {"a": 5, "b": 3}


def photographs(split, count, classes, seed):
    """Paths, labels and embeddings that tell the class, but not too well."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    paths = [f"{split}/{label}/{number}.jpg" for number, label in enumerate(labels)]
    centres = np.random.default_rng(99).normal(size=(classes, sum(WIDTHS.values())))
    embeddings = centres[labels] + 1.5 * rng.normal(size=(count, sum(WIDTHS.values())))
    return paths, labels, (3 + 2 * embeddings).astype("float32")


@pytest.fixture(params=[2, 3], ids=["two classes", "three classes"])
def features(request, tmp_path, make_features):
    """Joined files of two backbones and the matrix (N, 8) of each split."""
    classes = [f"c{number}" for number in range(request.param)]
    whole = {
        split: photographs(split, count, len(classes), seed)
        for seed, (split, count) in enumerate({"train": 90, "valid": 40}.items())
    }
    files = []
    for name, part in (("a", slice(0, 5)), ("b", slice(5, 8))):
        # Each file in an order of its own.
        order = {
            s: np.random.default_rng(part.start).permutation(len(w[0])) for s, w in whole.items()
        }
        splits = {
            split: (
                [paths[i] for i in order[split]],
                labels[order[split]],
                matrix[order[split], part],
            )
            for split, (paths, labels, matrix) in whole.items()
        }
        files.append(FeatureFile(make_features(tmp_path / f"{name}.h5", classes, splits)))
    matrices = {split: dict(zip(w[0], w[2], strict=True)) for split, w in whole.items()}
    return join_features(files), matrices


def matrix_of(rows, matrices, split):
    return np.stack([matrices[split][path] for path in rows.paths])


@pytest.mark.parametrize("memory", [1e9, 0], ids=["memory", "disk"])
@pytest.mark.parametrize("how", ["none", "standardise", "l2"])
def test_what_the_classifier_gets_is_normalised_for_each_backbone(features, how, memory):
    joined, matrices = features
    split = split_rows(joined, None, 0, memory)
    assert split.train.in_memory == bool(memory)
    taken = branches(split.train, {"a": how, "b": "none"})
    model = merged_model(taken, 3, 0.5)
    merged = keras.Model(model.input, model.get_layer("dropout").input)
    got = merged.predict_on_batch(split.valid.take(["a", "b"], np.arange(40)))
    plain, learnt = (matrix_of(getattr(split, s), matrices, s) for s in ("valid", "train"))
    expected = {
        "none": lambda: plain[:, :5],
        "standardise": lambda: StandardScaler().fit(learnt[:, :5]).transform(plain[:, :5]),
        "l2": lambda: normalize(plain[:, :5]),
    }[how]()
    np.testing.assert_allclose(got[:, :5], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(got[:, 5:], plain[:, 5:])


def test_logistic_is_scikit_learns_on_the_joined_matrix(features):
    joined, matrices = features
    split = split_rows(joined, None, 0, 1e9)
    taken = branches(split.train, {"a": "standardise", "b": "standardise"})
    strengths = (0.001, 0.1, 10.0)
    merged = train_merged(split, taken, MergedTraining("logistic", strengths=strengths))
    learnt, judged = (matrix_of(getattr(split, s), matrices, s) for s in ("train", "valid"))
    scaler = StandardScaler().fit(learnt)
    answers = {}
    for strength in strengths:
        regression = LogisticRegression(C=strength, max_iter=1000, tol=1e-8)
        regression.fit(scaler.transform(learnt), split.train.labels)
        answers[strength] = regression.predict_proba(scaler.transform(judged))
    best = min(strengths, key=lambda c: log_loss(answers[c], split.valid.labels))
    assert merged.chosen == f"C = {best:g}"
    np.testing.assert_allclose(merged.valid.probabilities, answers[best], atol=2e-3)
    again = answer(merged.model, split.valid, ["a", "b"], len(joined.classes))
    np.testing.assert_allclose(again.probabilities, merged.valid.probabilities, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("memory", [1e9, 0], ids=["memory", "disk"])
def test_dense_is_plain_gradient_descent_by_adam(features, memory, dropout):
    joined, matrices = features
    split = split_rows(joined, None, 0, memory)
    taken = branches(split.train, dict.fromkeys(WIDTHS, "none"))
    training = MergedTraining(
        optimizer="adam", learning_rate=0.05, epochs=6, batch_size=16, dropout=dropout, seed=7
    )
    merged = train_merged(split, taken, training)
    keras.utils.set_random_seed(7)
    fresh = merged_model(taken, len(joined.classes), 0)
    weights = [w.astype("float64") for w in fresh.get_weights()]
    losses, answers = [], []
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    step = 0
    judged = matrix_of(split.valid, matrices, "valid")
    for epoch in range(6):
        rng, masks = np.random.default_rng([7, epoch]), np.random.default_rng([7, epoch, MASKS])
        for embeddings, labels in split.train.shuffled(["a", "b"], 16, rng):
            step += 1
            batch = np.concatenate([embeddings["a"], embeddings["b"]], axis=1)
            if dropout:
                batch = batch * 2.0 * dropout_mask(masks, *batch.shape, dropout)
            wrong = probabilities(batch, weights)
            wrong = wrong - (labels[:, None] if wrong.shape[1] == 1 else np.eye(3)[labels])
            gradients = [batch.T @ wrong / len(batch), wrong.mean(axis=0)]
            for place, gradient in enumerate(gradients):
                first, second = moments[place]
                first += 0.1 * (gradient - first)
                second += 0.001 * (gradient**2 - second)
                rate = 0.05 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                weights[place] = weights[place] - rate * first / (np.sqrt(second) + 1e-7)
        given = probabilities(judged, weights)
        answers.append(np.hstack([1 - given, given]) if given.shape[1] == 1 else given)
        losses.append(log_loss(answers[-1], split.valid.labels))
    best = int(np.argmin(losses))
    assert merged.chosen == f"epoch {best + 1} of 6"
    np.testing.assert_allclose(merged.valid.probabilities, answers[best], atol=1e-4)
    again = answer(merged.model, split.valid, ["a", "b"], len(joined.classes))
    np.testing.assert_allclose(again.probabilities, answers[best], atol=1e-4)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75])
def test_a_mask_drops_each_number_with_its_rate(rate):
    mask = dropout_mask(np.random.default_rng(0), 300, 1000, rate)
    assert mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 1}
    spread = 5 * np.sqrt(rate * (1 - rate))
    assert abs(mask.mean() - (1 - rate)) < spread / np.sqrt(mask.size)
    assert np.abs(mask.mean(axis=0) - (1 - rate)).max() < 1.2 * spread / np.sqrt(300)
    assert (mask != dropout_mask(np.random.default_rng(1), 300, 1000, rate)).any()


def probabilities(batch, weights):
    scores = batch @ weights[0] + weights[1]
    if scores.shape[1] == 1:
        return 1 / (1 + np.exp(-scores))
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_logistic_says_when_it_would_need_too_much_memory(features):
    split = split_rows(features[0], None, 0, 0)
    taken = branches(split.train, dict.fromkeys(WIDTHS, "none"))
    with pytest.raises(UserError, match="--memory-gb"):
        train_merged(split, taken, MergedTraining("logistic"))


def test_a_training_that_diverges_is_said(features):
    split = split_rows(features[0], None, 0, 1e9)
    taken = branches(split.train, dict.fromkeys(WIDTHS, "none"))
    with pytest.raises(UserError, match="diverged in epoch 1"):
        train_merged(split, taken, MergedTraining(learning_rate=float("inf")))


def test_the_merged_model_is_saved_and_loaded(features, tmp_path: Path):
    split = split_rows(features[0], None, 0, 1e9)
    taken = branches(split.train, {"a": "standardise", "b": "l2"})
    model = merged_model(taken, 3, 0.5)
    model.save(tmp_path / "merged.keras")
    loaded = keras.saving.load_model(tmp_path / "merged.keras", safe_mode=True)
    batch = split.valid.take(["a", "b"], np.arange(4))
    np.testing.assert_allclose(
        loaded.predict_on_batch(batch), model.predict_on_batch(batch), rtol=1e-6
    )
