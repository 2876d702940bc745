"""The folder of a stage stays whole, whatever happens."""

import csv
import json

import keras
import numpy as np
import pytest

from finegrain.errors import UserError
from finegrain.runs.plateau import judge
from finegrain.runs.stage_folder import StageFolder
from finegrain.training.optimizers.averaged import AveragedOptimizer
from finegrain.training.optimizers.stage_optimizer import GroupedOptimizer
from finegrain.whole_files import written_whole

SETTINGS = {"learning_rate": 0.1, "epochs": 5}


def small_model(seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def epoch(number, loss):
    told = {"learning_rate": 0.1, "val_loss": loss, "val_accuracy": 0.5, "seconds": 1.0}
    return {"epoch": number, **told}


def train_epochs(folder, model, losses):
    for loss in losses:
        model.train_on_batch(np.ones((4, 3)), np.zeros((4, 2)))
        row = epoch(folder.epochs + 1, loss)
        history = [past["val_loss"] for past in folder.history]
        folder.save_epoch(model, row, judge([*history, loss], 0, 0))


def test_keeps_the_best_and_the_last_epoch_only(tmp_path):
    folder = StageFolder(tmp_path / "stage", SETTINGS)
    train_epochs(folder, small_model(), [3.0, 1.0, 2.0, 2.5])
    kept = sorted(path.name for path in (tmp_path / "stage").glob("*.h5"))
    assert kept == ["epoch-0002.weights.h5", "epoch-0004.weights.h5"]
    folder.finish()
    assert [path.name for path in (tmp_path / "stage").glob("*.h5")] == ["epoch-0002.weights.h5"]
    with (tmp_path / "stage" / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_opened_again_it_gives_back_weights_and_optimizer(tmp_path):
    model = small_model()
    train_epochs(StageFolder(tmp_path, SETTINGS), model, [3.0, 2.0])
    again = StageFolder(tmp_path, SETTINGS)
    other = small_model(seed=9)
    again.load_last(other)
    assert again.epochs == 2
    for ours, theirs in zip(other.variables, model.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(other.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any(np.abs(v).max() > 0 for v in other.optimizer.variables[2:])


def test_what_a_kill_leaves_behind_is_swept_away(tmp_path):
    folder = StageFolder(tmp_path, SETTINGS)
    train_epochs(folder, small_model(), [3.0])
    (tmp_path / ".ab12cd34.partial.epoch-0002.weights.h5").write_bytes(b"half")
    (tmp_path / "epoch-0002.weights.h5").write_bytes(b"whole, but named by no state")
    (tmp_path / "history.csv").write_text("cut off")
    again = StageFolder(tmp_path, SETTINGS)
    assert again.epochs == 1
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-0001.weights.h5", "history.csv", "state.json"]
    assert (tmp_path / "history.csv").read_text().splitlines()[1].startswith("1,")


def test_other_settings_are_refused_with_the_difference_named(tmp_path):
    train_epochs(StageFolder(tmp_path, SETTINGS), small_model(), [3.0])
    with pytest.raises(UserError, match="learning_rate 0.1 there, 0.2 now"):
        StageFolder(tmp_path, {**SETTINGS, "learning_rate": 0.2})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": {}}'])
def test_a_damaged_state_is_named(tmp_path, content):
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(UserError, match=r"state\.json is damaged"):
        StageFolder(tmp_path, SETTINGS)


def test_a_missing_or_damaged_checkpoint_is_named(tmp_path):
    folder = StageFolder(tmp_path, SETTINGS)
    train_epochs(folder, small_model(), [3.0])
    (tmp_path / "epoch-0001.weights.h5").write_bytes(b"rubbish")
    with pytest.raises(UserError, match=r"epoch-0001\.weights\.h5 is missing or damaged"):
        folder.load_best(small_model())


def test_a_checkpoint_that_hdf5_cannot_look_into_is_named(tmp_path, monkeypatch):
    folder, model = StageFolder(tmp_path, SETTINGS), small_model()
    train_epochs(folder, model, [3.0])

    def fail(*_):
        raise RuntimeError("Unable to synchronously check link existence")

    monkeypatch.setattr(model, "load_weights", fail)
    with pytest.raises(UserError, match=r"epoch-0001\.weights\.h5 is missing or damaged"):
        folder.load_best(model)


def test_an_unfinished_stage_is_not_taken_for_a_finished_one(tmp_path):
    with pytest.raises(UserError, match="no finished stage"):
        StageFolder.finished_before(tmp_path)
    folder = StageFolder(tmp_path, SETTINGS)
    train_epochs(folder, small_model(), [3.0])
    with pytest.raises(UserError, match="no finished stage"):
        StageFolder.finished_before(tmp_path)
    folder.finish()
    assert StageFolder.finished_before(tmp_path).settings == SETTINGS


def test_a_full_disk_leaves_the_epoch_before_as_it_was(tmp_path, monkeypatch):
    folder = StageFolder(tmp_path, SETTINGS)
    model = small_model()
    train_epochs(folder, model, [3.0])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(file):
        file.write_bytes(b"half a checkpoint")
        raise OSError("Can't write data (file write failed: errno = 28, No space left)")

    monkeypatch.setattr(model, "save_weights", full)
    with pytest.raises(UserError, match="the disk is full"):
        folder.save_epoch(model, epoch(2, 2.0), judge([3.0, 2.0], 0, 0))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert folder.epochs == 1


@pytest.mark.parametrize("averaged", [False, True])
def test_space_enough_is_reserved_for_several_optimizers(tmp_path, averaged, monkeypatch):
    """HDF5 ends the process where the disk is full, so a checkpoint may not outgrow it."""
    model = keras.Sequential(
        [keras.Input((200,)), keras.layers.Dense(300), keras.layers.Dense(100)]
    )
    groups = [model.trainable_variables[:2], model.trainable_variables[2:]]
    optimizer = GroupedOptimizer([keras.optimizers.AdamW() for _ in groups], groups, [1.0, 10.0])
    model.compile(AveragedOptimizer(optimizer, 0.9) if averaged else optimizer, "mse")
    model.optimizer.build(model.trainable_variables)
    reserved = []

    def noted(path, size=0):
        reserved.append(size)
        return written_whole(path, size)

    monkeypatch.setattr("finegrain.runs.stage_folder.written_whole", noted)
    folder = StageFolder(tmp_path / "stage", SETTINGS)
    folder.save_epoch(model, epoch(1, 1.0), judge([1.0], 0, 0))
    (checkpoint,) = folder.path.glob("*.h5")
    assert max(reserved) >= checkpoint.stat().st_size


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "deep" / "file.json"
    with written_whole(target) as file:
        file.write_text(json.dumps([1]))
    with pytest.raises(RuntimeError), written_whole(target) as file:
        file.write_text("[1, 2")
        raise RuntimeError
    assert json.loads(target.read_text()) == [1]
    assert [path.name for path in target.parent.iterdir()] == ["file.json"]
