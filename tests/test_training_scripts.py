"""The training scripts as a user meets them: commands, their output, what lies there after."""

import csv
import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from commands import REPOSITORY

SMALL = (
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
SHORT = (*SMALL, "--frozen-epochs", "2", "--unfrozen-epochs", "2", "--stop-patience", "0")


def history(run, stage):
    with (run / stage / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def without_seconds(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def assert_user_error(done, *words):
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture(scope="module")
def multi_loss(tmp_path_factory, script, drawn_data):
    """A finished run of froze_fine_tune.py and the process that made it."""
    run = tmp_path_factory.mktemp("runs") / "multi"
    done = script("froze_fine_tune.py", "--data", drawn_data, "--run", run, *SHORT)
    assert done.returncode == 0, done.stderr
    return run, done


def test_prints_its_budget_first_and_the_error_last(multi_loss, drawn_data):
    run, done = multi_loss
    lines = done.stdout.splitlines()
    assert lines[0] == f"{run}: multi-loss on mobilenet_v2_0.35"
    assert "4 classes; 32 x 32 pixels" in lines[1]
    assert "float32" in lines[2]
    assert "parameters trainable" in lines[3] and "with augmentation" in lines[3]
    assert "from layer 143 (block_16_expand)" in lines[4]
    assert lines[-1].startswith("2-unfrozen: top-1 error validation 0.")
    assert done.stderr == ""


def test_the_run_folder_holds_what_the_training_made(multi_loss, drawn_data):
    run, _ = multi_loss
    config = json.loads((run / "config.json").read_text())
    assert config["recipe"] == "multi-loss"
    assert config["settings"]["same_class_weight"] == 0.5
    assert config["image_size"] == [32, 32]
    assert len(config["data"]["digest"]) == len(config["weights"]["digest"]) == 64
    assert sum(config["data"]["class_counts"]) == config["data"]["images"]["train"]
    assert {"keras", "numpy", "python"} <= set(config["versions"])
    classes = json.loads((run / "classes.json").read_text())
    assert classes == json.loads((drawn_data / "classes.json").read_text())
    assert [row["epoch"] for row in history(run, "1-frozen")] == ["1", "2"]
    for name in ("category_loss", "val_category_loss", "val_same_class_loss", "learning_rate"):
        assert all(np.isfinite(float(row[name])) for row in history(run, "2-unfrozen"))
    results = json.loads((run / "results.json").read_text())
    assert results["model_from"] == "2-unfrozen"
    assert 0 <= results["stages"]["2-unfrozen"]["test_error"] <= 1
    assert (run / "history.png").stat().st_size > 5000
    assert not list(run.rglob("*.partial.*"))


def test_the_run_folder_holds_its_predictions_and_measures(multi_loss, drawn_data):
    run, _ = multi_loss
    results = json.loads((run / "results.json").read_text())
    evaluation = json.loads((run / "evaluation.json").read_text())
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert evaluation["model_from"] == results["model_from"]
    for split in ("valid", "test"):
        of_split = [row for row in rows if row["split"] == split]
        assert len(of_split) == len(list((drawn_data / split).rglob("*.*"))) > 0
        accuracy = evaluation["splits"][split]["measures"]["top1_accuracy"]["value"]
        right = sum(row["true"] == row["predicted"] for row in of_split)
        assert accuracy == pytest.approx(right / len(of_split))
        error = results["stages"]["2-unfrozen"][f"{split}_error"]
        # That of the validation images is from training: an undecided image may go either way.
        assert 1 - accuracy == pytest.approx(error, abs=0 if split == "test" else 0.26)
    assert evaluation["splits"]["test"]["measures"]["pair_auc_same_class"] is not None


def test_the_same_command_again_finds_everything_done(multi_loss, script, drawn_data):
    run, first = multi_loss
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.h5")}
    done = script("froze_fine_tune.py", "--data", drawn_data, "--run", run, *SHORT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished before") == 2
    assert done.stdout.splitlines()[-1] == first.stdout.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.h5")} == before


def test_other_settings_are_refused(multi_loss, script, drawn_data):
    run, _ = multi_loss
    done = script(
        "froze_fine_tune.py", "--data", drawn_data, "--run", run, *SHORT, "--dropout", "0.3"
    )
    assert_user_error(done, "dropout 0.5 there, 0.3 now", "another --run")


def test_another_recipe_in_the_same_folder_is_refused(multi_loss, script, drawn_data):
    run, _ = multi_loss
    done = script("single_model.py", "--data", drawn_data, "--run", run, *SHORT)
    assert_user_error(done, "recipe 'multi-loss' there, 'softmax' now")


def test_another_data_set_is_refused(multi_loss, script, drawn_data, tmp_path):
    run, _ = multi_loss
    photos = drawn_data.parent / "photos"
    script(
        "img2keras.py",
        "--source",
        photos,
        "--output",
        tmp_path,
        "--seed",
        "7",
        "--valid-fraction",
        "0.2",
    )
    done = script("froze_fine_tune.py", "--data", tmp_path, "--run", run, *SHORT)
    assert_user_error(done, "data set")


def test_the_saved_model_needs_nothing_but_the_registered_layers(multi_loss, drawn_data, tmp_path):
    from finegrain.runs.finished_run import open_finished_run

    run, _ = multi_loss
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    reader = f"""
import keras, numpy, finegrain.models.layers
model = keras.saving.load_model({str(run / "model.keras")!r}, safe_mode=True)
images = numpy.load({str(tmp_path / "images.npy")!r})
answer = model.predict({{"image": images, "partner": numpy.arange(4, dtype="int32")}}, verbose=0)
numpy.save({str(tmp_path / "answer.npy")!r}, answer["category"])
"""
    subprocess.run([sys.executable, "-c", reader], check=True, capture_output=True)
    ours = open_finished_run(run).classifier().predict_on_batch(images)
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), ours, atol=1e-6)


def test_killed_at_any_moment_it_finishes_as_if_it_had_not_been(
    multi_loss, start_script, drawn_data, tmp_path
):
    whole, _ = multi_loss
    run = tmp_path / "killed"
    # What must stand before each kill, and how long after: start-up, a training epoch, the middle
    # of a stage border, the end.
    moments = [
        ("config.json", 0.3),
        ("1-frozen/history.csv", 0.0),
        ("1-frozen/epoch-0002.weights.h5", 0.02),
        ("2-unfrozen/state.json", 0.05),
    ]
    for awaited, delay in [*moments, (None, 0)]:
        process = start_script("froze_fine_tune.py", "--data", drawn_data, "--run", run, *SHORT)
        while awaited and process.poll() is None and not (run / awaited).exists():
            time.sleep(0.01)
        if awaited:
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        _, err = process.communicate(timeout=300)
        assert awaited or process.returncode == 0, err
    for stage in ("1-frozen", "2-unfrozen"):
        assert without_seconds(history(run, stage)) == without_seconds(history(whole, stage))
    mine, theirs = (json.loads((r / "results.json").read_text())["stages"] for r in (run, whole))
    for stage in theirs:
        assert mine[stage]["valid_error"] == theirs[stage]["valid_error"]
    assert not list(run.rglob("*.partial.*"))


def test_ctrl_c_says_how_to_go_on(start_script, drawn_data, tmp_path):
    run = tmp_path / "stopped"
    process = start_script(
        "single_model.py",
        "--data",
        drawn_data,
        "--run",
        run,
        *SMALL,
        "--frozen-epochs",
        "500",
        "--stop-patience",
        "0",
    )
    while process.poll() is None and not (run / "1-frozen/history.csv").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert f"go on with: python single_model.py --data {drawn_data} --run {run}" in err


def test_a_loss_that_is_no_number_stops_the_run(script_here, monkeypatch, drawn_data, tmp_path):
    # No rate in its range makes so small a network leave all bounds.
    monkeypatch.setattr("finegrain.command.check_flags", lambda settings: None)
    status, _, errors = script_here(
        "single_model.py",
        "--data",
        drawn_data,
        "--run",
        tmp_path / "nan",
        *SMALL,
        "--frozen-epochs",
        "1",
        "--unfrozen-epochs",
        "3",
        "--unfrozen-learning-rate",
        "1e38",
    )
    assert status == 2 and errors.count("\n") == 1
    for words in ("2-unfrozen", "learning rate 1e+38", "smaller learning rate"):
        assert words in errors
    assert len(history(tmp_path / "nan", "1-frozen")) == 1
    assert list((tmp_path / "nan/1-frozen").glob("epoch-*.weights.h5"))


def test_a_full_disk_keeps_the_previous_checkpoint(script, drawn_data, tmp_path):
    import resource

    run = tmp_path / "full"
    arguments = (
        "--data",
        drawn_data,
        "--run",
        run,
        *SMALL,
        "--frozen-epochs",
        "1",
        "--unfrozen-epochs",
        "0",
    )

    def small_files_only():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = script("single_model.py", *arguments, preexec_fn=small_files_only)
    assert_user_error(done, "the disk is full", "epoch-0001.weights.h5")
    assert not list(run.rglob("*.h5")) and not list(run.rglob("*.partial.*"))
    done = script("single_model.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert len(history(run, "1-frozen")) == 1


def assert_statistics_stand_still(run):
    """The fresh backbone's BatchNormalization began with mean 0 and variance 1."""
    from finegrain.models.backbone import BACKBONE_LAYER
    from finegrain.runs.finished_run import open_finished_run

    backbone = open_finished_run(run).model().get_layer(BACKBONE_LAYER)
    norms = [layer for layer in backbone.layers if hasattr(layer, "moving_mean")]
    assert len(norms) > 40
    for norm in norms:
        assert np.all(np.asarray(norm.moving_mean) == 0)
        assert np.all(np.asarray(norm.moving_variance) == 1)


def test_stage_3_retrains_without_augmentation(multi_loss, script):
    run, _ = multi_loss
    model = (run / "model.keras").read_bytes()
    arguments = ("--run", run, "--epochs", "2", "--stop-patience", "0")
    done = script("trick_tune.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert "sgd 1e-05; without augmentation" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("3-retrained: top-1 error")
    assert len(history(run, "3-retrained")) == 2
    assert json.loads((run / "results.json").read_text())["model_from"] == "3-retrained"
    assert (run / "model.keras").read_bytes() != model
    assert_statistics_stand_still(run)
    refused = script("trick_tune.py", "--run", run, "--epochs", "3", "--stop-patience", "0")
    assert_user_error(refused, "epochs 2 there, 3 now")
    # As does one that was begun while 10 was the default, it goes on with its own number.
    again = script("trick_tune.py", "--run", run, "--stop-patience", "0")
    assert again.returncode == 0 and "finished before, after 2 epochs" in again.stdout


def test_damaged_results_are_named(multi_loss, script, tmp_path):
    run, _ = multi_loss
    (tmp_path / "config.json").write_text((run / "config.json").read_text())
    (tmp_path / "results.json").write_text('{"stages": ')
    assert_user_error(script("tools/compare.py", "--run", tmp_path), "results.json is damaged")


def test_stage_3_wants_the_runs_own_data_set(multi_loss, script, drawn_data, tmp_path):
    run, _ = multi_loss
    photos = drawn_data.parent / "photos"
    script("img2keras.py", "--source", photos, "--output", tmp_path, "--seed", "9")
    done = script("trick_tune.py", "--run", run, "--data", tmp_path)
    assert_user_error(done, "is no longer the one", str(run))


def test_stage_3_needs_a_finished_stage_2(script, drawn_data, tmp_path):
    assert_user_error(script("trick_tune.py", "--run", tmp_path / "none"), "no run folder")
    run = tmp_path / "one"
    script(
        "froze_fine_tune.py",
        "--data",
        drawn_data,
        "--run",
        run,
        *SMALL,
        "--frozen-epochs",
        "1",
        "--unfrozen-epochs",
        "0",
    )
    assert_user_error(script("trick_tune.py", "--run", run), "2-unfrozen holds no finished stage")


@pytest.mark.parametrize(
    "changes,words",
    [
        ({"backbone": "exception"}, "'exception'; did you mean xception"),
        ({"weights": "nowhere.weights.h5"}, "nowhere.weights.h5' is no file; give `imagenet`"),
        ({"backbone": "xception_small", "weights": "imagenet"}, "no ImageNet weights of xception"),
        ({"unfreeze_from": "block_99"}, "no layer named 'block_99'; the nearest are"),
        ({"image_size": 8}, "--image-size 8"),
        ({"images_per_class": 9}, "--images-per-class 9 does not fit"),
    ],
)
def test_settings_that_cannot_be_are_refused(drawn_data, tmp_path, changes, words):
    import single_model
    from finegrain.errors import UserError

    sound = {
        "data": drawn_data,
        "run": tmp_path / "run",
        "backbone": "mobilenet_v2_0.35",
        "weights": "none",
        "image_size": 32,
        "batch_size": 8,
    }
    with pytest.raises(UserError, match=re.escape(words)):
        single_model.main(single_model.Settings(**sound | changes))
    # A run folder is bound to its settings, so a mistake must not make one.
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "mixes,words",
    [
        ({"mixup": 0.2}, "--mixup would give"),
        ({"mixup": 0.2, "cutmix": 1.0}, "--mixup and --cutmix would give"),
    ],
)
def test_pairs_want_labels_that_are_not_mixed(drawn_data, tmp_path, mixes, words):
    import froze_fine_tune
    from finegrain.errors import UserError

    settings = froze_fine_tune.Settings(
        data=drawn_data,
        run=tmp_path / "run",
        backbone="mobilenet_v2_0.35",
        weights="none",
        image_size=32,
        batch_size=8,
        **mixes,
    )
    with pytest.raises(UserError, match=f"{words}.*hard labels"):
        froze_fine_tune.main(settings)
    assert not (tmp_path / "run").exists()


def test_a_batch_larger_than_the_data_set_is_lowered_with_a_notice(
    script_here, drawn_data, tmp_path
):
    run = tmp_path / "run"
    flags = (
        "--data",
        drawn_data,
        "--run",
        run,
        *SMALL,
        "--batch-size",
        "4000",
        "--views",
        "1",
        "--frozen-epochs",
        "1",
        "--unfrozen-epochs",
        "0",
    )
    status, printed, errors = script_here("single_model.py", *flags)
    assert status == 0, errors
    config = json.loads((run / "config.json").read_text())
    count = config["data"]["images"]["train"]
    notice = f"notice  --batch-size 4000 is more than the {count} training images"
    assert printed.count(notice) == 1
    assert f"1 epochs of 1 steps of {count}" in printed
    # The record is what was asked for, so that the same command goes on.
    assert config["settings"]["batch_size"] == 4000
    status, printed, errors = script_here("single_model.py", *flags)
    assert status == 0, errors
    assert notice in printed and "finished before" in printed


def test_weights_of_another_backbone_are_refused_in_one_sentence(script, drawn_data, tmp_path):
    weights = REPOSITORY / "finegrain/models/weights/xception_small.weights.h5"
    done = script(
        "single_model.py",
        "--data",
        drawn_data,
        "--run",
        tmp_path / "run",
        *SMALL,
        "--weights",
        weights,
    )
    assert_user_error(done, "xception_small.weights.h5 do not fit mobilenet_v2_0.35")
    assert not (tmp_path / "run").exists()


def test_a_data_folder_that_is_none_is_refused(script, tmp_path):
    done = script("single_model.py", "--data", tmp_path, "--run", tmp_path / "r", *SMALL)
    assert_user_error(done, "manifest.csv", "img2keras.py")


def test_an_unknown_flag_is_an_error(script):
    done = script("froze_fine_tune.py", "--learning-rat", "1")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
