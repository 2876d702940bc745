"""A last training that learns the validation images too, and what is told of it."""

import csv
import json

import numpy as np
import pytest

from finegrain.datasets.manifest import open_data_set
from finegrain.frame import Frame
from finegrain.runs.run_folder import open_run_data
from finegrain.training.feed import Feed
from finegrain.training.stage import Stage

SMALL = (
    *("--backbone", "xception_small", "--weights", "none", "--image-size", "32", "--no-openvino"),
    *("--batch-size", "16", "--unfrozen-epochs", "2", "--no-baseline"),
)
MODERN = ("--recipe", "modern", *SMALL)


def test_every_labelled_image_is_learnt_once_an_epoch(drawn_data):
    data = open_data_set(drawn_data)
    feed = Feed(data, Frame(32, 32), 8).learning_validation()
    batches = feed.training(Stage("2", None, "sgd", 0.1, 1, augmentation=None))
    learnt = sorted(
        batches.paths[index] for step in range(batches.steps()) for index in batches.chosen(0, step)
    )
    assert learnt == sorted(data.paths("train") + data.paths("valid"))
    labels = dict(zip(data.paths("valid"), data.labels("valid"), strict=True))
    for path, label in zip(batches.paths, batches.labels, strict=True):
        assert labels.get(path, label) == label
    assert feed.class_counts().sum() == len(learnt)
    # What an epoch is looked at by, if only to see that it goes well.
    assert set(feed.validation().paths) == set(data.paths("valid"))


def test_nothing_is_told_of_the_validation_images(script_here, drawn_data, tmp_path):
    run = tmp_path / "run"
    asked = ("--data", drawn_data, "--run", run, *MODERN, "--train-on-validation")
    status, said, errors = script_here("single_model.py", *asked)
    assert status == 0, errors
    data = open_data_set(drawn_data)
    assert "validation images are learnt too" in said
    assert "top-1 error validation" not in said and "top-1 error test" in said
    numbers = json.loads((run / "results.json").read_text())["stages"]["2-unfrozen"]
    assert "valid_error" not in numbers and 0 <= numbers["test_error"] <= 1
    with (run / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {"test"} and len(rows) == len(data.paths("test"))
    opened = open_run_data(run)
    assert opened.splits == ["train", "test"] and opened.digest == data.digest
    assert len(opened.paths("train")) == len(data.paths("train")) + len(data.paths("valid"))
    np.testing.assert_array_equal(opened.labels("test"), data.labels("test"))
    # The same command goes on, another does not.
    status, said, errors = script_here("single_model.py", *asked)
    assert status == 0 and "finished before" in said, errors
    assert script_here("single_model.py", *asked[:-1])[0] == 2
    status, _, errors = script_here("tools/calibrate.py", "--run", run)
    assert status == 2 and "validation images" in errors
    status, said, errors = script_here("tools/evaluate.py", "--run", run)
    assert status == 0 and "valid" not in said.splitlines()[0], errors
    status, _, errors = script_here("trick_tune.py", "--run", run)
    assert status == 2 and "nothing is left to judge a further stage by" in errors


@pytest.mark.parametrize(
    "flags",
    [
        (*SMALL, "--frozen-epochs", "1"),
        (*MODERN, "--monitor", "loss"),
        (*MODERN, "--interpolate"),
    ],
)
def test_what_needs_validation_images_is_refused(flags, script_here, drawn_data, tmp_path):
    asked = ("--data", drawn_data, "--run", tmp_path / "run", *flags, "--train-on-validation")
    status, _, errors = script_here("single_model.py", *asked)
    assert status == 2 and "--train-on-validation leaves no images to judge" in errors
    assert not (tmp_path / "run").exists()
