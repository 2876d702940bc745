"""tools/calibrate.py as a user meets it."""

import json
import re
import shutil

import numpy as np
import pytest
from judged_run import SURER, make_data, make_run
from scipy.special import softmax

from finegrain.evaluation.evaluation_file import read_evaluation
from finegrain.evaluation.temperature import model_temperature
from finegrain.regular_file import file_digest
from finegrain.runs.predictions import read_predictions


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    data = make_data(folder / "data")
    return make_run(folder / "run", data), data


@pytest.fixture
def own(judged, tmp_path):
    """A copy of the run to write into, and the data set."""
    return shutil.copytree(judged[0], tmp_path / "run"), judged[1]


def calibrate(script_here, *arguments):
    return script_here("tools/calibrate.py", *arguments, "--no-openvino")


def answers(run, data):
    """What the model in the folder says of the validation images, and its logits."""
    import keras

    from finegrain.decode import read_pixels
    from finegrain.frame import Frame
    from finegrain.models.classifier import answering_model

    model = keras.saving.load_model(run / "model.keras", compile=False, safe_mode=True)
    images = [read_pixels(path, Frame(32, 32)) for path in sorted((data / "valid").rglob("*.png"))]
    probabilities, below = answering_model(model).predict_on_batch(np.stack(images))
    kernel, bias = model.get_layer("category").get_weights()
    return np.asarray(probabilities), np.asarray(below) @ kernel + bias


def test_the_model_answers_with_its_temperature_from_then_on(own, script_here):
    run, data = own
    _, logits = answers(run, data)
    assert script_here("tools/evaluate.py", "--run", run, "--no-openvino")[0] == 0
    before = read_evaluation(run / "evaluation.json")
    classes = read_predictions(run / "predictions.csv")["predicted"].tolist()
    status, out, err = calibrate(script_here, "--run", run)
    assert status == 0, err
    temperature = float(re.search(r"^temperature (\S+) is now inside", out, re.MULTILINE)[1])
    assert SURER / 3 < temperature < SURER * 3
    assert answers(run, data)[0] == pytest.approx(softmax(logits / temperature, axis=1), abs=1e-4)
    assert model_temperature(run) == pytest.approx(temperature, abs=1e-4)
    after = read_evaluation(run / "evaluation.json")
    assert after["temperature"] == pytest.approx(temperature, abs=1e-4)
    assert after["digests"]["model"] == file_digest(run / "model.keras")
    for split in ("valid", "test"):
        was, now = (some["splits"][split]["measures"] for some in (before, after))
        assert now["log_loss"]["value"] < was["log_loss"]["value"]
        name = "expected_calibration_error"
        assert now[name]["value"] < was[name]["value"]
        line = re.search(rf"^{split} +calibration error (\S+) -> (\S+), log", out, re.MULTILINE)
        assert float(line[1]) == pytest.approx(was[name]["value"], abs=2e-4)
        assert float(line[2]) == pytest.approx(now[name]["value"], abs=2e-4)
        assert now["top1_accuracy"] == was["top1_accuracy"]
        assert now["recall_at_1"] == was["recall_at_1"]
    assert read_predictions(run / "predictions.csv")["predicted"].tolist() == classes


def test_evaluate_says_the_same_of_a_calibrated_model(own, script_here):
    run, _ = own
    assert calibrate(script_here, "--run", run)[0] == 0
    told = read_evaluation(run / "evaluation.json")
    assert script_here("tools/evaluate.py", "--run", run, "--no-openvino")[0] == 0
    again = read_evaluation(run / "evaluation.json")
    assert again["temperature"] == told["temperature"] != 1
    for name, measure in told["splits"]["test"]["measures"].items():
        assert measure["value"] == pytest.approx(
            again["splits"]["test"]["measures"][name]["value"], abs=1e-4
        )


def test_twice_changes_nothing_and_undo_takes_it_out(own, script_here):
    run, data = own
    original, _ = answers(run, data)
    assert calibrate(script_here, "--run", run)[0] == 0
    model = (run / "model.keras").read_bytes()
    status, out, _ = calibrate(script_here, "--run", run)
    assert status == 0 and "needs no change" in out
    assert (run / "model.keras").read_bytes() == model
    status, out, err = calibrate(script_here, "--run", run, "--undo")
    assert status == 0 and "taken out" in out, err
    assert answers(run, data)[0] == pytest.approx(original, abs=1e-4)
    assert read_evaluation(run / "evaluation.json")["temperature"] == 1
    status, _, err = calibrate(script_here, "--run", run, "--undo")
    assert status == 2 and "nothing to undo" in err


def test_a_model_trained_on_since_has_no_temperature(own, judged, script_here):
    run, _ = own
    assert calibrate(script_here, "--run", run)[0] == 0
    calibrated = json.loads((run / "temperature.json").read_text())
    assert calibrated.pop("schema") == 1 and len(calibrated) == 1
    shutil.copy(judged[0] / "model.keras", run / "model.keras")
    assert model_temperature(run) == 1
    assert calibrate(script_here, "--run", run)[0] == 0
    assert model_temperature(run) == pytest.approx(next(iter(calibrated.values())))


def test_killed_while_the_model_is_written_the_old_one_stands(own, script_here, monkeypatch):
    import keras

    run, _ = own
    before = (run / "model.keras").read_bytes()

    def fail(model, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", fail)
    status, _, err = calibrate(script_here, "--run", run)
    assert status == 2 and "disk is full" in err
    assert (run / "model.keras").read_bytes() == before and model_temperature(run) == 1
    assert not list(run.glob("*.partial*")) and not list(run.glob(".*.partial*"))


def test_mistakes_are_one_sentence(tmp_path, judged, script_here):
    data = make_data(tmp_path / "data", {"train": 5, "test": 3})
    run = make_run(tmp_path / "no validation", data, "softmax")
    broken = shutil.copytree(judged[0], tmp_path / "broken")
    (broken / "model.keras").write_bytes(b"damaged")
    cases = {
        run: "no validation images",
        tmp_path / "none": "no run folder",
        broken: "cannot be loaded",
    }
    for folder, words in cases.items():
        status, _, err = calibrate(script_here, "--run", folder)
        assert status == 2 and err.startswith("error: ") and err.count("\n") == 1, err
        assert words in err
