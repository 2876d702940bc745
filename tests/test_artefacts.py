"""What earlier versions left on a disk opens as it did; see tests/artefacts."""

import csv
import json
import os
import re
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest

ARCHIVES = sorted((Path(__file__).parent / "artefacts").glob("*.tar.xz"))
TRAINING = (
    "--data data --backbone xception_small --weights tiny.weights.h5 --image-size 72 "
    "--batch-size 8 --frozen-epochs 2 --unfrozen-epochs 2 --frozen-learning-rate 0.05 "
    "--unfrozen-learning-rate 0.01 --views 2 --no-openvino --precision float32"
).split()
STAGES = ("1-frozen", "2-unfrozen")


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def artefacts(request, tmp_path, monkeypatch) -> Path:
    """An archive, unpacked; the networks that this process builds are as narrow as those in it."""
    from finegrain.models.networks import XceptionSmall

    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(XceptionSmall, "__defaults__", (0.01, *XceptionSmall.__defaults__[1:]))
    return tmp_path


def table(path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def assert_same_answers(path, expected):
    (header, *rows), (known_header, *known) = table(path), table(expected)
    assert header == known_header and [row[0] for row in rows] == [row[0] for row in known]
    ours, theirs = (np.array([row[1:] for row in some], float) for some in (rows, known))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def epochs_told(out) -> list[str]:
    return re.findall(r"^  epoch +(\S+)", out, re.MULTILINE)


def losses(run, stage) -> list[float]:
    state = json.loads((run / stage / "state.json").read_text())
    assert state["finished"]
    return [row["val_loss"] for row in state["history"]]


@pytest.mark.parametrize(
    ("script", "run"), [("single_model_test.py", "softmax"), ("baidu_dog_test.py", "multi")]
)
def test_a_finished_run_predicts_as_it_did(artefacts, script_here, script, run):
    status, _, error = script_here(
        script,
        "--run",
        f"runs/{run}",
        "--images",
        "unlabelled",
        "--output",
        "now.csv",
        "--format",
        "probabilities",
        "--no-openvino",
    )
    assert (status, error) == (0, "")
    assert_same_answers("now.csv", f"expected/{run}.csv")


def test_a_killed_training_goes_on_to_the_same_end(artefacts, script_here):
    runs = artefacts / "runs"
    status, out, error = script_here(
        "froze_fine_tune.py", "--run", "runs/unfinished", *TRAINING, "--cache", "none"
    )
    assert status == 0, error
    assert epochs_told(out) == ["2/2"]
    for stage in STAGES:
        expected = losses(runs / "multi", stage)
        np.testing.assert_allclose(losses(runs / "unfinished", stage), expected, atol=1e-3)


def test_a_finished_training_is_not_repeated(artefacts, script_here):
    files = sorted((artefacts / "runs" / "softmax").glob("**/*.h5"))
    before = {file: file.read_bytes() for file in files}
    status, out, error = script_here("single_model.py", "--run", "runs/softmax", *TRAINING)
    assert status == 0, error
    assert epochs_told(out) == []
    assert {file: file.read_bytes() for file in files} == before


def test_stores_are_read_and_not_filled_anew(artefacts, script_here):
    made_with = json.loads((artefacts / "runs/multi/config.json").read_text())["versions"]["keras"]
    if made_with != keras.__version__:
        pytest.skip(f"the layers of Keras {made_with} were described differently")
    os.remove("runs/multi/3-retrained/state.json")
    status, out, error = script_here(
        "trick_tune.py", "--run", "runs/multi", "--data", "data", "--epochs", "1", "--no-openvino"
    )
    assert status == 0, error
    assert "boundary: 30 of 30 there already" in out
    # The baseline, which came later, has a store of its own.
    words = ("--run", "runs/again", "--no-baseline", *TRAINING)
    status, out, error = script_here("single_model.py", *words)
    assert status == 0, error
    assert "embeddings, 2 augmented views each: 51 of 51 there already" in out
    assert "pixels    30 of 30 decoded already" in out
    assert len(list((artefacts / "runs" / "cache").iterdir())) == 3


def test_exports_are_merged(artefacts, script_here):
    status, _, error = script_here(
        "recipes/merge_features.py",
        "--features",
        "features/softmax.h5",
        "features/multi.h5",
        "--classifier",
        "logistic",
        "--output",
        "now.csv",
        "--format",
        "probabilities",
        "--scores",
        "scores.json",
    )
    assert (status, error) == (0, "")
    assert_same_answers("now.csv", "expected/merged.csv")
    ours, theirs = (
        json.loads(Path(file).read_text()) for file in ("scores.json", "expected/scores.json")
    )
    assert ours.keys() == theirs.keys()
    for label, scores in theirs.items():
        assert ours[label]["valid"] == pytest.approx(scores["valid"], abs=1e-4)


def test_measures_are_read_and_measured_again(artefacts, script_here):
    for run in ("softmax", "multi"):
        before = json.loads((artefacts / "runs" / run / "evaluation.json").read_text())
        status, _, error = script_here(
            "tools/evaluate.py", "--run", f"runs/{run}", "--data", "data", "--no-openvino"
        )
        assert (status, error) == (0, "")
        after = json.loads((artefacts / "runs" / run / "evaluation.json").read_text())
        assert after["temperature"] == before["temperature"]
        for split, found in before["splits"].items():
            for name, measure in found["measures"].items():
                now = after["splits"][split]["measures"][name]
                assert (now and now["value"]) == pytest.approx(
                    measure and measure["value"], abs=1e-3
                )


def test_a_temperature_is_taken_out_again(artefacts, script_here):
    status, out, error = script_here(
        "tools/calibrate.py", "--run", "runs/softmax", "--data", "data", "--undo", "--no-openvino"
    )
    assert (status, error) == (0, "")
    assert "the temperature 0.7424 is taken out" in out


def test_runs_are_reported_and_compared(artefacts, script_here):
    status, _, error = script_here(
        "tools/report.py", "--run", "runs/softmax", "--data", "data", "--output", "report.html"
    )
    assert status == 0, error
    assert Path("report.html").stat().st_size > 10_000
    status, out, error = script_here("tools/compare.py", "--run", "runs/softmax", "runs/multi")
    assert (status, error) == (0, "")
    assert len(out.splitlines()) == 6
