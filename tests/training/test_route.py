"""Training from stores is the training without them, and is never from a stale one."""

import io
import re
import shutil
from contextlib import redirect_stdout
from dataclasses import replace

import keras
import numpy as np
import pytest
from commands import REPOSITORY

from finegrain.datasets.manifest import open_data_set
from finegrain.frame import Frame
from finegrain.images.augmentation import Augmentation
from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import find_backbone
from finegrain.models.image_heads import find_head
from finegrain.runs.stage_folder import StageFolder
from finegrain.training.batches import ValidationBatches
from finegrain.training.feed import Feed
from finegrain.training.objectives import find_objective
from finegrain.training.route import choose_route
from finegrain.training.stage import Stage
from finegrain.training.train_stage import freeze_for_stage, train_stage

WEIGHTS = REPOSITORY / "finegrain/models/weights/xception_small.weights.h5"
SIDE = 48
# What is stored is rounded to float16.
ROUNDING = 5e-3
FROZEN = Stage("1-frozen", None, "adam", 1e-2, epochs=3, augmentation=None, stop_patience=0)
UNFROZEN = Stage(
    "2-unfrozen", "block12_sepconv1_act", "sgd", 1e-3, epochs=2, augmentation=None, stop_patience=0
)


@pytest.fixture(scope="module")
def data(drawn_data):
    return open_data_set(drawn_data)


def new_model(objective="multi-loss", **heads):
    keras.utils.set_random_seed(0)
    spec = find_backbone("xception_small")
    backbone = build_backbone(spec, str(WEIGHTS), (SIDE, SIDE))
    return find_objective(objective).model(backbone, spec, 4, **heads)


def feed(data, cache=None, gigabytes=1.0):
    return Feed(data, Frame(SIDE, SIDE), 8, seed=3, cache=cache, cache_gb=gigabytes, openvino=False)


def train(tmp_path, stage, feed, name, objective="multi-loss", **heads):
    """Train a new model; its weights and its history."""
    model = new_model(objective, **heads)
    folder = StageFolder(tmp_path / name, {})
    train_stage(model, find_objective(objective), stage, feed, folder)
    return model.get_weights(), folder.history


def recorded(*arguments):
    """What `train` returns, and what it prints."""
    with redirect_stdout(io.StringIO()) as said:
        weights, history = train(*arguments)
    return weights, history, said.getvalue()


def losses(history):
    return np.array([[row["loss"], row["val_loss"]] for row in history])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("route")


@pytest.fixture(scope="module")
def direct(data, folder):
    """The frozen stage, every epoch from photographs."""
    return recorded(folder, FROZEN, feed(data), "direct")


@pytest.fixture(scope="module")
def stored(data, folder):
    """The frozen stage from stored embeddings."""
    return recorded(folder, FROZEN, feed(data, folder / "cache"), "stored")


@pytest.fixture(scope="module")
def activations(data, folder):
    """The unfrozen stage from stored activations."""
    return recorded(folder, UNFROZEN, feed(data, folder / "cache"), "activations")


def test_a_frozen_stage_from_embeddings_is_the_same_to_rounding(direct, stored):
    weights, history, said = direct
    assert "direct" in said
    fast_weights, fast_history, said = stored
    assert "stored    embeddings" in said
    np.testing.assert_allclose(losses(fast_history), losses(history), rtol=ROUNDING)
    for fast, direct in zip(fast_weights, weights, strict=True):
        np.testing.assert_allclose(fast, direct, rtol=ROUNDING, atol=ROUNDING * np.std(direct))


def test_a_head_on_the_map_learns_from_stored_maps_as_from_photographs(data, tmp_path, capsys):
    attention = {"objective": "softmax", "head": find_head("attention")}
    _, history = train(tmp_path, FROZEN, feed(data), "direct", **attention)
    assert "direct" in capsys.readouterr().out
    cache = tmp_path / "cache"
    _, fast_history = train(tmp_path, FROZEN, feed(data, cache), "stored", **attention)
    assert "stored    feature maps of the backbone" in capsys.readouterr().out
    np.testing.assert_allclose(losses(fast_history), losses(history), rtol=5e-3)
    # Another head finds them there.
    cbam = {"objective": "softmax", "head": find_head("cbam")}
    train(tmp_path, FROZEN, feed(data, cache), "cbam", **cbam)
    total = len(data.paths("train")) + len(data.paths("valid"))
    assert f"{total} of {total} there already" in capsys.readouterr().out


def test_an_unfrozen_stage_from_activations_agrees_within_float16(data, tmp_path, activations):
    weights, history = train(tmp_path, UNFROZEN, feed(data), name="direct")
    fast_weights, fast_history, said = activations
    assert "activations at the boundary" in said
    # Eleven bits a number: 5e-4 of rounding each, which averages out over many.
    np.testing.assert_allclose(losses(fast_history), losses(history), rtol=2e-3)
    for fast, direct in zip(fast_weights, weights, strict=True):
        np.testing.assert_allclose(fast, direct, rtol=5e-3, atol=5e-4)


def test_a_filled_store_is_used_again_and_a_stale_one_is_not(data, tmp_path, capsys):
    model = new_model("softmax")
    freeze_for_stage(model, FROZEN)

    def there_already(folder):
        choose_route(model, FROZEN, feed(open_data_set(folder), tmp_path / "cache"))
        return re.search(r"(\d+) of (\d+) there already", capsys.readouterr().out).groups()

    total = str(len(data.paths("train")) + len(data.paths("valid")))
    assert there_already(data.folder) == ("0", total)
    assert there_already(data.folder) == (total, total)
    moved = tmp_path / "moved"
    shutil.copytree(data.folder, moved)
    assert there_already(moved) == (total, total)
    open_data_set(moved).paths("train")[0].touch()
    assert there_already(moved) == ("0", total)


def test_a_small_cache_computes_the_rest_to_the_same_numbers(
    data, folder, activations, tmp_path, monkeypatch
):
    from finegrain.stores import store_folder

    monkeypatch.setattr(store_folder, "LEFT_FREE", 0)
    _, history, _ = activations
    (store,) = (folder / "cache").glob("activation-*.h5")
    half = store.stat().st_size / 2e9
    _, mixed, said = recorded(tmp_path, UNFROZEN, feed(data, tmp_path / "small", half), "some")
    assert f"fit into --cache-gb {half:g}" in said and "the rest is computed each epoch" in said
    np.testing.assert_allclose(losses(mixed), losses(history), rtol=1e-4)


def test_fixed_views_train_and_new_views_go_direct(data, tmp_path, capsys):
    views = Stage("1-frozen", None, "adam", 1e-2, epochs=4, augmentation=Augmentation(), views=2)
    cache = tmp_path / "cache"
    _, history = train(tmp_path, views, feed(data, cache), name="views")
    assert "2 augmented views each" in capsys.readouterr().out
    assert history[2]["loss"] < history[0]["loss"]
    fresh = Stage("1-frozen", None, "adam", 1e-2, epochs=1, augmentation=Augmentation())
    train(tmp_path, fresh, feed(data, cache), name="fresh")
    assert "new augmented views" in capsys.readouterr().out


class Stop(Exception):
    """Stands in for a kill after the first epoch that is made final."""


def stop_after_an_epoch(folder):
    original = folder.save_epoch

    def save(*arguments):
        original(*arguments)
        raise Stop

    folder.save_epoch = save
    return folder


def begin(tmp_path, stage, feed, name, objective="multi-loss"):
    """Train a new model for an epoch, and stop without a word."""
    folder = stop_after_an_epoch(StageFolder(tmp_path / name, {}))
    with pytest.raises(Stop):
        train_stage(new_model(objective), find_objective(objective), stage, feed, folder)


def test_a_stage_begun_from_a_store_goes_on_without_it(data, folder, stored, tmp_path):
    _, whole, _ = stored
    begin(tmp_path, FROZEN, feed(data, folder / "cache"), "resumed")
    _, resumed = train(tmp_path, FROZEN, feed(data), name="resumed")
    assert len(resumed) == FROZEN.epochs
    np.testing.assert_allclose(losses(resumed), losses(whole), rtol=ROUNDING)


@pytest.mark.parametrize(
    "schedule,objective,ema",
    [("cosine", "softmax", 0.9), ("one-cycle", "arcface", 0.0), ("plateau", "circle", 0.5)],
)
def test_a_stage_resumes_in_the_midst_of_any_schedule(
    schedule, objective, ema, data, folder, stored, tmp_path
):
    stage = replace(
        UNFROZEN,
        schedule=schedule,
        epochs=3,
        warm_up_epochs=0.5,
        head_rate=10.0,
        layer_decay=0.5,
        ema=ema,
    )
    cached = feed(data, folder / "cache")
    weights, whole = train(tmp_path, stage, cached, "whole", objective)
    begin(tmp_path, stage, cached, "resumed", objective)
    again, resumed = train(tmp_path, stage, cached, "resumed", objective)
    rates = [row["learning_rate"] for row in resumed]
    assert rates == [row["learning_rate"] for row in whole] and len(rates) == 3
    assert (len(set(rates)) == 1) == (schedule == "plateau")
    np.testing.assert_array_equal(losses(resumed), losses(whole))
    for ours, others in zip(again, weights, strict=True):
        np.testing.assert_array_equal(ours, others)


def test_all_pairs_are_learnt_from_stored_features_as_from_photographs(data, folder, tmp_path):
    stage = replace(FROZEN, epochs=1)
    _, history = train(tmp_path, stage, feed(data), "direct", "triplet", neck="bn")
    assert history[0]["val_pairs_loss"] > 0
    cached = feed(data, folder / "cache")
    _, fast_history = train(tmp_path, stage, cached, "stored", "triplet", neck="bn")
    np.testing.assert_allclose(losses(fast_history), losses(history), rtol=ROUNDING)


@pytest.mark.parametrize("mixes", [{"mixup": 1.0}, {"cutmix": 1.0, "mixup": 1.0}])
def test_mixed_batches_go_direct_and_teach_soft_labels(mixes, data, tmp_path, capsys):
    mixed = replace(FROZEN, **mixes, epochs=2)
    batches = feed(data).training(mixed)
    targets = [batches.batch(epoch, 0)[1] for epoch in range(4)]
    classes = (np.concatenate(targets) > 0).sum(axis=1)
    assert set(classes.tolist()) == {1, 2}
    _, history = train(tmp_path, mixed, feed(data, tmp_path / "cache"), "mixed", "softmax")
    assert "each epoch mixes its batches anew" in capsys.readouterr().out
    assert len(history) == 2 and np.isfinite(losses(history)).all()


def test_mixed_rectangles_are_of_augmented_images(data, capsys):
    stage = replace(FROZEN, augmentation=Augmentation(crop_area=0.3), cutmix=1.0)
    model = new_model("softmax")
    route = choose_route(model, stage, replace(feed(data), augment_on="device"))
    assert "augmented on the CPU" in capsys.readouterr().out
    assert route.model is model and route.training.augmentation == stage.augmentation


def test_augmentation_on_the_device_trains_and_repeats(data, direct, tmp_path, capsys):
    stage = replace(FROZEN, augmentation=Augmentation(), epochs=2)
    on_device = replace(feed(data), augment_on="device")
    weights, history = train(tmp_path, stage, on_device, name="one")
    assert "augments  on the device" in capsys.readouterr().out
    again, _ = train(tmp_path, stage, on_device, name="two")
    for one, other in zip(weights, again, strict=True):
        np.testing.assert_array_equal(one, other)
    plain, plain_history, _ = direct
    assert len(plain) == len(weights)
    assert history[0]["loss"] != plain_history[0]["loss"]


def test_averages_are_judged_and_kept_and_training_does_not_see_them(
    data, folder, activations, tmp_path
):
    _, plain, _ = activations
    cached, stage = feed(data, folder / "cache"), replace(UNFROZEN, ema=0.9)
    weights, history = train(tmp_path, stage, cached, "averaged")
    assert [row["loss"] for row in history] == [row["loss"] for row in plain]
    assert [row["val_loss"] for row in history] != [row["val_loss"] for row in plain]
    # The last epoch was the best, and is judged again.
    model, objective = new_model(), find_objective("multi-loss")
    assert min(losses(history)[:, 1]) == losses(history)[-1, 1]
    model.set_weights(weights)
    model.compile(**objective.compile_arguments(stage))
    batches = ValidationBatches(cached.validation(), objective, stage)
    judged = model.evaluate(batches, verbose=0, return_dict=True)
    # Stored activations are rounded to float16.
    assert judged["category_loss"] == pytest.approx(history[-1]["val_category_loss"], rel=2e-3)
    assert judged["category_loss"] != pytest.approx(plain[-1]["val_category_loss"], rel=2e-3)
