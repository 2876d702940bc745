"""A last stage on larger pictures, from the command to the run's answers."""

import json
import shutil

import numpy as np
import pytest

from finegrain.models.backbone import BACKBONE_LAYER
from finegrain.runs.finished_run import open_finished_run
from finegrain.runs.run_folder import RunFolder
from finegrain.training.session import reopen_session

FLAGS = (
    *("--backbone", "mobilenet_v2_0.35", "--weights", "none", "--image-size", "32"),
    *("--frozen-epochs", "0", "--unfrozen-epochs", "1", "--unfrozen-views", "1"),
    *("--unfreeze-from", "block_16_expand", "--batch-size", "16", "--no-openvino"),
    *("--final-size", "64", "--final-learning-rate", "0.01"),
)


def history(run, stage):
    rows = json.loads((run / stage / "state.json").read_text())["history"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, script, drawn_data):
    """A finished run with a last stage, and what its command printed."""
    run = tmp_path_factory.mktemp("runs") / "final"
    done = script("single_model.py", "--data", drawn_data, "--run", run, *FLAGS)
    assert done.returncode == 0, done.stderr
    return run, done.stdout


def test_the_runs_size_is_the_final_one(trained, drawn_data):
    run, printed = trained
    assert "heads only" in printed and "without augmentation, 64 x 64 pixels" in printed
    assert "3-final: top-1 error validation" in printed.splitlines()[-1]
    finished = open_finished_run(run)
    assert finished.frame.size == (64, 64)
    assert finished.model().get_layer("image").output.shape == (None, 64, 64, 3)
    results = json.loads((run / "results.json").read_text())
    assert results["model_from"] == "3-final"
    assert list(results["stages"]) == ["2-unfrozen", "3-final"]
    assert len(history(run, "3-final")) == 2


def test_it_trains_the_heads_and_leaves_the_backbone(trained):
    run, _ = trained
    session = reopen_session(RunFolder.open(run), workers=1)
    session.load_finished("2-unfrozen")
    before, after = session.model, open_finished_run(run).model()
    pairs = zip(
        before.get_layer(BACKBONE_LAYER).get_weights(),
        after.get_layer(BACKBONE_LAYER).get_weights(),
        strict=True,
    )
    assert all(np.array_equal(first, second) for first, second in pairs)
    biases = [model.get_layer("category").get_weights()[1] for model in (before, after)]
    assert not np.allclose(*biases, atol=1e-4)


def test_a_run_stopped_before_it_ends_the_same(trained, script_here, drawn_data, tmp_path):
    run, _ = trained
    again = tmp_path / "again"
    shutil.copytree(run, again)
    for name in ("3-final", "model.keras", "results.json", "predictions.csv", "evaluation.json"):
        path = again / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    status, out, errors = script_here(
        "single_model.py", "--data", drawn_data, "--run", again, *FLAGS
    )
    assert status == 0, errors
    assert "2-unfrozen: finished before" in out
    assert history(again, "3-final") == history(run, "3-final")
    models = [open_finished_run(folder).model().get_weights() for folder in (run, again)]
    for first, second in zip(*models, strict=True):
        np.testing.assert_array_equal(first, second)


def test_retraining_goes_on_from_it_at_its_size(trained, script_here, tmp_path):
    run, _ = trained
    again = tmp_path / "again"
    shutil.copytree(run, again)
    status, out, errors = script_here(
        "trick_tune.py", "--run", again, "--epochs", "1", "--no-openvino"
    )
    assert status == 0, errors
    assert "64 x 64 pixels" in out
    assert json.loads((again / "results.json").read_text())["model_from"] == "3-retrained"
    biases = [
        open_finished_run(folder).model().get_layer("category").get_weights()[1]
        for folder in (run, again)
    ]
    # At a rate of 1e-5 it ends near where it began.
    np.testing.assert_allclose(*biases, atol=1e-3)


def test_a_size_that_cannot_be_is_refused_at_once(script_here, drawn_data, tmp_path):
    run = tmp_path / "run"
    flags = ("--backbone", "xception", "--weights", "none", "--image-size", "80")
    status, _, errors = script_here(
        "single_model.py", "--data", drawn_data, "--run", run, *flags, "--final-size", "64"
    )
    assert status == 2 and "cannot be built for --image-size 64" in errors
    assert not (run / "config.json").exists()
