"""Classes of few images: both ways against their formulas, in training only."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from finished_runs import SIDE, small_backbone
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.datasets.manifest import open_data_set
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.models.backbone_table import find_backbone
from finegrain.runs.stage_folder import StageFolder
from finegrain.training.batches import training_parts
from finegrain.training.feed import Feed
from finegrain.training.long_tail import class_weights, weighted_classes, with_class_prior
from finegrain.training.objectives import find_objective
from finegrain.training.stage import Stage
from finegrain.training.train_stage import prepare_stage, train_stage

COUNTS = np.array([50, 5, 1])
STAGE = Stage("1-frozen", None, "sgd", 0.1, epochs=2, augmentation=None, same_class_weight=0.5)


def new_model(objective, classes=3):
    keras.utils.set_random_seed(0)
    spec = find_backbone("mobilenet_v2")
    return find_objective(objective).model(small_backbone(), spec, classes, dropout=0.0)


def compiled(objective):
    model = new_model(objective)
    prepare_stage(model, find_objective(objective), STAGE, steps=1)
    return model


def photos(count=8):
    rng = np.random.default_rng(1)
    images = rng.uniform(0, 255, (count, SIDE, SIDE, 3)).astype("float32")
    return images, np.eye(3, dtype="float32")[rng.integers(0, 3, count)]


def log_losses(logits, targets):
    return np.log(np.exp(logits).sum(axis=1)) - (targets * logits).sum(axis=1)


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any))
def test_every_class_weighs_alike_and_an_image_one_in_the_mean(counts):
    counts = np.array(counts)
    weights = class_weights(counts)
    all_alike = (weights * counts)[counts > 0]
    np.testing.assert_allclose(all_alike, all_alike[0], rtol=1e-4)
    assert (weights * counts).sum() == pytest.approx(counts.sum(), rel=1e-4)


def test_an_image_weighs_as_its_class_whole_or_in_parts():
    model, (images, targets) = compiled("softmax"), photos()
    weights = class_weights(COUNTS)
    logits = model.predict(images, verbose=0)
    expected = np.mean((targets @ weights) * log_losses(logits, targets))

    def loss(batch):
        # Keras 3.8 goes on with the mean of the batches before.
        model.reset_metrics()
        return float(model.test_on_batch(*batch)[0])

    (whole,) = weighted_classes([(images, targets)], weights)
    assert loss(whole) == pytest.approx(expected, rel=1e-4)
    parts = training_parts([(images, targets)], find_objective("softmax").split, 3)
    found = [loss(part) for part in weighted_classes(parts, weights)]
    assert len(found) == 3 and np.mean(found) == pytest.approx(expected, rel=1e-4)


def test_a_loss_of_pairs_keeps_its_weight():
    model, (images, targets) = compiled("contrastive"), photos()
    batch = find_objective("contrastive").batch(images, targets, STAGE, 0, 0)
    pairs = float(model.test_on_batch(*batch, return_dict=True)["pairs_loss"])
    logits = model.predict(images, verbose=0)["category"]
    weights = class_weights(COUNTS)
    category = np.mean((targets @ weights) * log_losses(logits, targets))
    (whole,) = weighted_classes([batch], weights)
    found = model.evaluate(*whole[:2], sample_weight=whole[2], verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(category + 0.5 * pairs, rel=1e-4)


@pytest.mark.parametrize("objective", ["softmax", "circle"])
def test_the_prior_is_added_to_the_logits_in_training_alone(objective):
    model, (images, _) = new_model(objective), photos()
    config = model.get_config()
    shifted = with_class_prior(model, COUNTS)
    assert model.get_config() == config
    assert shifted.trainable_variables == model.trainable_variables
    plain, untouched, moved = (
        keras.tree.flatten(each(images, training=training))
        for each, training in ((model, False), (shifted, False), (shifted, True))
    )
    np.testing.assert_array_equal(untouched[0], plain[0])
    # Not what `model` gives in training: its BatchNormalization learns there.
    in_training = keras.tree.flatten(model(images, training=True))
    np.testing.assert_allclose(moved[0] - in_training[0], np.log([COUNTS / 56] * 8), atol=1e-4)
    if objective == "circle":
        np.testing.assert_allclose(moved[1], in_training[1], atol=1e-5)


@pytest.mark.parametrize("way", ["weights", "balanced-softmax"])
def test_a_stage_learns_by_it_and_is_judged_by_the_plain_loss(way, drawn_data, tmp_path):
    data = open_data_set(drawn_data)
    first = data.table["label"] == data.classes[0]
    few = first & (data.table["split"] == "train") & (np.cumsum(first) > 2)
    data = replace(data, table=data.table[~few])
    feed = Feed(data, Frame(SIDE, SIDE), 8)
    assert feed.class_counts().min() < feed.class_counts().max()
    rows = {}
    for name in ("none", way):
        model, stage = new_model("softmax", 4), replace(STAGE, long_tail=name)
        folder = StageFolder(tmp_path / name, {})
        train_stage(model, find_objective("softmax"), stage, feed, folder)
        rows[name] = folder.history
        images, targets = feed.validation().batch(0, 0)
        assert feed.validation().steps() == 1
        plain = log_losses(model.predict(images.astype("float32"), verbose=0), targets).mean()
        best = min(row["val_loss"] for row in folder.history)
        assert best == pytest.approx(plain, rel=1e-3)
    assert [row["loss"] for row in rows["none"]] != [row["loss"] for row in rows[way]]


def test_angles_have_no_prior():
    arcface = find_objective("arcface")
    arcface.check_stage(replace(STAGE, long_tail="weights"))
    with pytest.raises(UserError, match="take --long-tail weights"):
        arcface.check_stage(replace(STAGE, long_tail="balanced-softmax"))
