"""tools/soup.py as a user meets it."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from judged_run import make_data, make_run

from finegrain.evaluation.evaluation_file import read_evaluation
from finegrain.runs.finished_run import open_finished_run
from finegrain.runs.run_folder import RunFolder, read_results, write_results


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three runs, the last much worse on the validation images; and what they were made from."""
    folder = tmp_path_factory.mktemp("soup")
    data = make_data(folder / "data")
    for number, noise in enumerate((0.0, 0.02, 2.0)):
        run = RunFolder.open(make_run(folder / str(number), data))
        model = open_finished_run(run.path).model()
        rng = np.random.default_rng(number)
        weights = [w + noise * w.std() * rng.normal(size=w.shape) for w in model.get_weights()]
        model.set_weights(weights)
        run.save_model(model)
        write_results(run, {"model_from": "1", "stages": {"1": {"epochs": 2, "seconds": 1.5}}})
    return folder, data


@pytest.fixture
def runs(made, tmp_path):
    """Copies to change."""
    return [shutil.copytree(made[0] / str(number), tmp_path / str(number)) for number in range(3)]


def soup(script_here, runs, output, *flags):
    return script_here("tools/soup.py", "--run", *runs, "--output", output, "--no-openvino", *flags)


def weights_of(run):
    return open_finished_run(run).model().get_weights()


def assert_mean(found, runs):
    for ours, *theirs in zip(weights_of(found), *map(weights_of, runs), strict=True):
        np.testing.assert_allclose(ours, np.mean(theirs, axis=0), rtol=1e-5, atol=1e-6)


def test_a_uniform_soup_is_the_mean_and_a_run_like_another(runs, tmp_path, script_here):
    output = tmp_path / "soup"
    status, _, err = soup(script_here, runs, output)
    assert status == 0, err
    assert_mean(output, runs)
    results = read_results(RunFolder.open(output))
    assert results["model_from"] == "soup"
    measured = read_evaluation(output / "evaluation.json")["splits"]
    stage = results["stages"]["soup"]
    assert (stage["epochs"], stage["seconds"]) == (6, 4.5)
    for split in ("valid", "test"):
        accuracy = measured[split]["measures"]["top1_accuracy"]["value"]
        assert stage[f"{split}_error"] == pytest.approx(1 - accuracy)
    recorded = json.loads((output / "config.json").read_text())["settings"]
    assert list(recorded["soup"]) == [str(run) for run in runs]
    assert recorded["batch_size"] == 16
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    for command in (
        ("tools/compare.py", "--run", output),
        ("tools/report.py", "--run", output),
        ("tools/evaluate.py", "--run", output, "--no-openvino"),
    ):
        status, _, err = script_here(*command)
        assert status == 0, err
    # The same command again makes the same.
    assert soup(script_here, runs, output)[0] == 0
    for name in before.keys() - {"model.keras", "evaluation.json"}:
        assert (output / name).read_bytes() == before[name], name


def test_a_submission_takes_a_soup(runs, made, tmp_path, script_here):
    assert soup(script_here, runs[:2], tmp_path / "soup")[0] == 0
    status, _, err = script_here(
        *("baidu_dog_test.py", "--run", tmp_path / "soup", "--images", made[1] / "test/10"),
        *("--output", tmp_path / "predict.txt", "--no-openvino"),
    )
    assert status == 0, err


def test_a_greedy_soup_leaves_out_what_does_harm(runs, tmp_path, script_here):
    output = tmp_path / "soup"
    status, out, err = soup(script_here, runs[::-1], output, "--greedy")
    assert status == 0, err
    assert f"{runs[2]}: " in out and ", left out" in out
    kept = list(json.loads((output / "config.json").read_text())["settings"]["soup"])
    assert str(runs[2]) not in kept and kept
    assert_mean(output, [Path(run) for run in kept])


def test_a_temperature_is_taken_out_first(runs, tmp_path, script_here):
    plain = [shutil.copytree(run, tmp_path / f"plain-{run.name}") for run in runs[:2]]
    assert script_here("tools/calibrate.py", "--run", runs[0], "--no-openvino")[0] == 0
    assert soup(script_here, runs[:2], tmp_path / "soup")[0] == 0
    assert_mean(tmp_path / "soup", plain)


def with_config(change):
    def make(run, data):
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps({**config, **change(config)}))

    return make


def other_layers(run, data):
    made = make_run(run.parent / "other", data, recipe="softmax", hidden=5)
    model = open_finished_run(made).model()
    image = model.get_layer("image").output
    pairs = keras.layers.Dense(2, name="same_class")(model.output)
    RunFolder.open(run).save_model(keras.Model(image, [model.output, pairs]))


@pytest.mark.parametrize(
    "make,said",
    [
        (with_config(lambda _: {"backbone": "xception"}), "the backbone of one is xception"),
        (with_config(lambda _: {"image_size": [32, 64]}), "the image size of one is 32 x 64"),
        (
            with_config(lambda config: {"data": {**config["data"], "digest": "f" * 64}}),
            "the data set of one is fff",
        ),
        (with_config(lambda _: {"weights": {"digest": "1" * 64}}), "the pretrained weights of"),
        (
            lambda run, _: (run / "classes.json").write_text(json.dumps(["a", "b", "c", "d"])),
            "their classes differ",
        ),
        (lambda run, _: (run / "model.keras").unlink(), "no finished model yet"),
        (other_layers, "its network has other layers"),
    ],
)
def test_runs_that_cannot_be_averaged_are_told(make, said, runs, made, tmp_path, script_here):
    make(runs[1], made[1])
    status, _, err = soup(script_here, runs, tmp_path / "soup")
    assert status == 2 and said in err and err.count("\n") == 1
    assert not (tmp_path / "soup/config.json").exists()


def test_too_few_runs_and_a_run_as_output_are_told(runs, tmp_path, script_here):
    status, _, err = soup(script_here, runs[:1], tmp_path / "soup")
    assert status == 2 and "two or more" in err
    status, _, err = soup(script_here, runs, runs[0])
    assert status == 2 and "is one of the runs" in err
