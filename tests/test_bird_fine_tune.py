"""bird_fine_tune.py as a user meets it: two parts, any head on any backbone, what lies there."""

import csv
import json
import re
import signal
import time

import pytest
from commands import REPOSITORY

from finegrain.errors import UserError

BIRDS = "recipes/bird_fine_tune.py"
MODEL = (
    "--model",
    "efficientnet_b3_se",
    "--backbone",
    "mobilenet_v2_0.35",
    "--weights",
    "none",
    "--image-size",
    "32",
    "--batch-size",
    "8",
    "--unfreeze-from",
    "block_16_expand",
)
SHORT = (*MODEL, "--pair-loss", "verification", "--frozen-epochs", "2", "--unfrozen-epochs", "2")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, script, drawn_data):
    """A finished run with the pair loss, and the process that made it."""
    run = tmp_path_factory.mktemp("runs") / "birds"
    done = script(BIRDS, "--data", drawn_data, "--run", run, *SHORT)
    assert done.returncode == 0, done.stderr
    return run, done.stdout


def history(run, stage):
    with (run / stage / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_it_trains_the_head_from_stored_maps_and_then_the_backbone(trained):
    run, said = trained
    assert "multi-loss on mobilenet_v2_0.35" in said
    assert "head      se: from 1 x 1 x 1280 features to 1,280 an image" in said
    assert "stored    feature maps of the backbone, 2 augmented views each" in said
    assert "adam 0.0001" in said and "from layer 143 (block_16_expand)" in said
    config = json.loads((run / "config.json").read_text())
    expected = {
        "head": "se",
        "hidden": 1000,
        "hidden_dropout": 0.25,
        "dropout": 0.25,
        "reduce_factor": 0.2,
        "reduce_patience": 4,
        "stop_patience": 5,
        "pair_loss": "verification",
    }
    assert expected.items() <= config["settings"].items()
    assert (len(history(run, "1-frozen")), len(history(run, "2-unfrozen"))) == (2, 2)
    for shown in ("history.png", "model.txt"):
        assert (run / shown).stat().st_size > 5000


def test_what_is_reported_of_the_models_is_what_the_table_says():
    from finegrain.models.bird_models import bird_models

    text = (REPOSITORY / BIRDS).read_text()
    for row in bird_models().values():
        line = re.search(rf"^ +{row.name} +(\d+) .* (0\.\d+|-)$", text, re.MULTILINE)
        assert int(line[1]) == row.image_size
        assert row.accuracy == (None if line[2] == "-" else float(line[2]))


def test_killed_in_part_2_it_ends_as_if_it_had_not_been(
    trained, start_script, drawn_data, tmp_path
):
    whole, _ = trained
    run = tmp_path / "killed"
    for awaited in ("2-unfrozen/state.json", None):
        process = start_script(BIRDS, "--data", drawn_data, "--run", run, *SHORT)
        while awaited and process.poll() is None and not (run / awaited).exists():
            time.sleep(0.01)
        if awaited:
            process.send_signal(signal.SIGKILL)
        _, err = process.communicate(timeout=300)
        assert awaited or process.returncode == 0, err
    for stage in ("1-frozen", "2-unfrozen"):
        assert history(run, stage) == history(whole, stage)


def test_its_runs_are_retrained_and_predicted_with(trained, script_here, drawn_data, tmp_path):
    run, _ = trained
    status, said, errors = script_here("trick_tune.py", "--run", run, "--epochs", 1)
    assert status == 0, errors
    assert "without augmentation" in said and "stored    activations at the boundary" in said
    photos = next((drawn_data / "test").iterdir())
    output = tmp_path / "predict.txt"
    for name in ("baidu_dog_test.py", "single_model_test.py"):
        flags = ("--run", run, "--images", photos, "--output", output)
        status, said, errors = script_here(name, *flags)
        assert status == 0, errors
        assert ("notice" in said) == (name == "single_model_test.py")
        assert len(output.read_text().splitlines()) == len(list(photos.iterdir()))
    status, said, _ = script_here("tools/compare.py", "--run", run)
    assert "efficientnet_b3_se, multi-loss, last blocks unfrozen" in said


SOUND = {
    "model": "bilinear_vgg16",
    "backbone": "mobilenet_v2_0.35",
    "weights": "none",
    "image_size": 32,
    "batch_size": 8,
}


@pytest.mark.parametrize(
    "changes,words",
    [
        ({"model": "bilinear_vgg"}, "'bilinear_vgg'; did you mean bilinear_vgg16"),
        ({"head": "spatial_atention"}, "no head named 'spatial_atention'; did you mean"),
        ({"backbone": "mobilnet"}, "no backbone named 'mobilnet'; did you mean"),
        (
            {"head": "se", "unfreeze_from": "block_16_expnd"},
            "no layer named 'block_16_expnd'; the nearest are block_16_expand",
        ),
        ({"head": "se", "unfreeze_from": "999"}, "layer 999 does not exist"),
        ({"head": "se", "unfreeze_from": 5000 * "9"}, "layer 99999999999999999999 does not exist"),
        (
            {"head": "se", "pair_loss": "verification", "cutmix": 1.0},
            "--cutmix would give an image",
        ),
        ({"head": "se", "compact": 64}, "--compact 64 squeezes an outer product"),
        ({}, "1280 x 1280 = 1,638,400 numbers"),
    ],
)
def test_settings_that_cannot_be_are_refused(drawn_data, tmp_path, monkeypatch, changes, words):
    monkeypatch.syspath_prepend(str(REPOSITORY / "recipes"))
    import bird_fine_tune

    settings = bird_fine_tune.Settings(data=drawn_data, run=tmp_path / "run", **SOUND | changes)
    with pytest.raises(UserError, match=re.escape(words)):
        bird_fine_tune.main(settings)
    # A run folder is bound to its settings, so a mistake must not make one.
    assert not (tmp_path / "run").exists()


def test_a_model_lends_its_parts_to_what_is_not_asked_for(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(REPOSITORY / "recipes"))
    import bird_fine_tune

    from finegrain.models.bird_models import find_bird_model

    def taken(**asked):
        settings = bird_fine_tune.Settings(data=tmp_path, run=tmp_path, **asked)
        done = bird_fine_tune.complete(settings, find_bird_model(settings.model))
        return done.backbone, done.image_size, done.head, done.hidden, done.dropout

    assert taken(model="Bilinear-VGG16") == ("vgg16_conv5", 300, "bilinear", 1024, 0.5)
    # Another backbone has an image size of its own, and zeros are asked for too.
    other = taken(model="bilinear_vgg16", backbone="xception", hidden=0, dropout=0.0)
    assert other == ("xception", None, "bilinear", 0, 0.0)
    assert taken(model="vgg16", image_size=96, head="se")[1:3] == (96, "se")


def test_a_mistaken_name_costs_no_seconds_and_no_traceback(script, tmp_path):
    done = script(BIRDS, "--data", tmp_path, "--run", tmp_path / "run", "--model", "resnet")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "no model named 'resnet'" in done.stderr
    assert "vgg16" in done.stderr and "efficientnet_b3_cbam" in done.stderr
