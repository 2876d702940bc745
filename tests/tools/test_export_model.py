"""`tools/export_model.py` as a user calls it."""

import json
import shutil

import pytest
from finished_runs import make_run


@pytest.fixture(scope="module")
def run(drawn_data, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "multi", drawn_data)


@pytest.fixture(autouse=True)
def backend(monkeypatch):
    # The script names one for good.
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")


def export(script_here, run, output, *flags):
    return script_here(
        "tools/export_model.py", "--run", run, "--output", output, "--format", "saved_model", *flags
    )


def test_a_saved_model_of_a_run(run, script_here, tmp_path):
    status, out, err = export(script_here, run, tmp_path / "model", "--compare", "3")
    assert status == 0, err
    assert "agrees with Keras on 3 images" in out and "top class the same in 3" in out
    card = json.loads((tmp_path / "model" / "assets.extra" / "card.json").read_text())
    assert json.loads(card["classes"]) == json.loads((run / "classes.json").read_text())
    status, _, err = export(script_here, run, tmp_path / "model")
    assert status == 2 and "exists already" in err


def test_without_the_data_set_photographs_are_asked_for(run, drawn_data, script_here, tmp_path):
    orphan = tmp_path / "orphan"
    shutil.copytree(run, orphan)
    config = json.loads((orphan / "config.json").read_text())
    config["data"]["folder"] = str(tmp_path / "gone")
    (orphan / "config.json").write_text(json.dumps(config))
    status, _, err = export(script_here, orphan, tmp_path / "model")
    assert status == 2 and "--images" in err and len(err.splitlines()) == 1
    status, _, err = export(script_here, orphan, tmp_path / "model", "--images", tmp_path)
    assert status == 2 and "holds no photographs" in err
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    status, out, err = export(script_here, orphan, tmp_path / "model", "--images", tmp_path)
    assert status == 2 and "can be read" in err and "broken.jpg is left out" in out
    assert not (tmp_path / "model").exists()
    found = ["--images", drawn_data / "train", "--compare", "2"]
    status, out, err = export(script_here, orphan, tmp_path / "model", *found)
    assert status == 0, err
    assert "agrees with Keras on 2 images" in out
