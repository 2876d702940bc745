"""How training scripts end: nothing that only shows a run ends it, and its model comes back."""

import errno
import json
import shutil

import pytest
from finished_runs import SIDE, small_backbone

from finegrain.evaluation import close_stage as close_stage_module
from finegrain.training import build

FLAGS = (
    "--backbone",
    "mobilenet_v2",
    "--weights",
    "none",
    "--image-size",
    str(SIDE),
    "--batch-size",
    "8",
    "--unfreeze-from",
    "3",
    "--frozen-epochs",
    "1",
    "--unfrozen-epochs",
    "1",
)
RETRAINED = ("--epochs", "1", "--learning-rate", "0.1")
MADE = {
    "model.txt",
    "history.png",
    "predictions.csv",
    "evaluation.json",
    "model.keras",
    "results.json",
}


@pytest.fixture(autouse=True)
def a_small_network_and_no_graphviz(monkeypatch):
    monkeypatch.setattr(build, "build_backbone", lambda *_: small_backbone())
    monkeypatch.setattr("finegrain.evaluation.pictures.shutil.which", lambda name: None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def trained(runs, drawn_data, script_here, tmp_path):
    """A copy of a finished run, what training it said, and how to start it again."""
    first = runs / "first"
    if not first.exists():
        status, said, errors = script_here(
            "froze_fine_tune.py", "--data", drawn_data, "--run", first, *FLAGS
        )
        assert status == 0, errors
        (runs / "said").write_text(said)
    run = tmp_path / "run"
    shutil.copytree(first, run)
    again = ("froze_fine_tune.py", "--data", drawn_data, "--run", run, *FLAGS)
    return run, (runs / "said").read_text(), again


@pytest.fixture
def predict(drawn_data, script_here, tmp_path):
    photos = next((drawn_data / "test").iterdir())

    def call(run):
        output = tmp_path / "predict.csv"
        status, _, errors = script_here(
            "baidu_dog_test.py",
            "--run",
            run,
            "--images",
            photos,
            "--output",
            output,
            "--format",
            "probabilities",
        )
        return output.read_text() if status == 0 else errors

    return call


def refuse(error):
    def instead(*_, **__):
        raise error

    return instead


def test_without_graphviz_a_run_is_whole_and_says_once_what_is_missing(trained):
    run, said, _ = trained
    assert {path.name for path in run.iterdir() if path.is_file()} >= MADE
    assert not (run / "model.png").exists()
    notices = [line for line in said.splitlines() if line.startswith("  notice")]
    assert len(notices) == 1 and "apt install graphviz" in notices[0]


def test_nothing_that_only_shows_a_run_ends_it(
    trained, drawn_data, script_here, tmp_path, monkeypatch
):
    full = OSError(errno.ENOSPC, "No space left on device")
    run = tmp_path / "other"
    command = ("froze_fine_tune.py", "--data", drawn_data, "--run", run, *FLAGS)
    with monkeypatch.context() as broken:
        for name, error in {
            "plot_history": ValueError("no font\nfound"),
            "draw_model": RuntimeError("no node"),
            "write_model_table": full,
            "write_answers": MemoryError(),
            "split_error": IndexError("none"),
        }.items():
            broken.setattr(close_stage_module, name, refuse(error))
        status, said, errors = script_here(*command)
    assert status == 0, errors
    for reason in (
        "ValueError: no font",
        "RuntimeError: no node",
        "OSError: [Errno 28] No space",
        "MemoryError\n",
        "IndexError: none\n",
    ):
        assert f"is left out: {reason}" in said
    assert "2-unfrozen: not measured" in said
    assert {path.name for path in run.iterdir() if path.is_file()} & MADE == {
        "model.keras",
        "results.json",
    }
    # What was left out is made by the same command, which trains nothing anew.
    status, said, errors = script_here(*command)
    assert status == 0, errors and said.count("finished before") == 2
    assert {path.name for path in run.iterdir() if path.is_file()} >= MADE
    whole, _, _ = trained
    mine, theirs = (json.loads((one / "results.json").read_text()) for one in (run, whole))
    for results in (mine, theirs):
        for stage in results["stages"].values():
            del stage["seconds"]
    assert mine == theirs


def test_ctrl_c_stops_at_a_by_product_too(trained, script_here, monkeypatch):
    run, _, again = trained
    (run / "history.png").unlink()
    monkeypatch.setattr(close_stage_module, "plot_history", refuse(KeyboardInterrupt()))
    assert script_here(*again)[0] == 130


def test_a_curve_that_was_interrupted_is_drawn_with_its_last_stage(
    trained, script_here, monkeypatch
):
    run, _, again = trained
    whole = (run / "history.png").read_bytes()
    # As a command leaves it that was stopped as it was about to draw the second stage.
    (run / "history.png").write_bytes(b"the curve of the first stage")
    results = json.loads((run / "results.json").read_text())
    del results["stages"]["2-unfrozen"]
    (run / "results.json").write_text(json.dumps(results))
    with monkeypatch.context() as stopped:
        stopped.setattr(close_stage_module, "plot_history", refuse(KeyboardInterrupt()))
        assert script_here(*again)[0] == 130
    status, _, errors = script_here(*again)
    assert status == 0, errors
    assert (run / "history.png").read_bytes() == whole


def cut_short(model):
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])


def flip_bits(model):
    content = bytearray(model.read_bytes())
    for place in range(len(content) // 4, len(content), len(content) // 4):
        content[place] ^= 255
    model.write_bytes(content)


DAMAGE = {
    "gone": lambda model: model.unlink(),
    "empty": lambda model: model.write_bytes(b""),
    "no model": lambda model: model.write_bytes(b"damaged" * 999),
    "cut short": cut_short,
    "bits flipped": flip_bits,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_written_anew(trained, predict, script_here, damage):
    run, _, again = trained
    before = predict(run)
    assert before.count("\n") > 1
    DAMAGE[damage](run / "model.keras")
    refused = predict(run)
    assert refused.startswith("error: ") and refused.count("\n") == 1
    assert "training command again" in refused and str(run) in refused
    status, said, errors = script_here(*again)
    assert status == 0, errors
    assert f"{run / 'model.keras'} was gone or damaged and is written anew" in said
    assert predict(run) == before
    # The measures are those of the file that stands there; nothing is left to be done.
    _, said, _ = script_here(*again)
    assert "written anew" not in said


def test_an_earlier_command_does_not_replace_a_later_model(trained, predict, script_here):
    run, _, again = trained
    first = predict(run)
    retrain = ("trick_tune.py", "--run", run, *RETRAINED)
    status, _, errors = script_here(*retrain)
    assert status == 0, errors
    retrained = predict(run)
    assert retrained != first
    for lost in ("model.keras", "results.json"):
        for command in (again, retrain):
            (run / lost).unlink()
            status, said, errors = script_here(*command)
            assert status == 0, errors
            assert ("written anew" in said) == (lost == "model.keras")
            assert predict(run) == retrained


def test_what_is_wrong_elsewhere_leaves_the_model_as_it_is(trained, script_here):
    run, _, again = trained
    before = (run / "model.keras").read_bytes()
    (run / "classes.json").write_text("[")
    _, said, _ = script_here(*again)
    assert "written anew" not in said
    assert (run / "model.keras").read_bytes() == before
