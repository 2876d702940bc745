"""Steps 1 to 6 on real photographs and real ImageNet weights, as a user types them."""

import csv
import json

import pandas as pd
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def training(shared):
    return (
        "--backbone",
        "mobilenet_v2_0.35",
        "--image-size",
        "96",
        "--weights",
        shared / "weights/mobilenet_v2_0.35_224_imagenet_notop.weights.h5",
        "--frozen-epochs",
        "3",
        "--unfrozen-epochs",
        "1",
        "--unfrozen-learning-rate",
        "1e-5",
    )


def run(script, *arguments):
    done = script(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def errors(folder):
    return json.loads((folder / "results.json").read_text())["stages"]


def test_the_dogs_from_photographs_to_submission(script, shared, training, tmp_path):
    dogs = shared / "data/dogs"
    data, single, multi = tmp_path / "data", tmp_path / "single", tmp_path / "multi"
    told = run(
        script,
        "img2keras.py",
        "--source",
        dogs / "train",
        "--output",
        data,
        "--test-fraction",
        "0.2",
    )
    assert "typeid_randhash" in told and "900 images" in told
    run(script, "single_model.py", "--data", data, "--run", single, *training)
    run(script, "froze_fine_tune.py", "--data", data, "--run", multi, *training)
    run(script, "trick_tune.py", "--run", multi, "--epochs", "1")
    # Chance is 0.9; both recipes must have learnt from pictures they then do not see.
    assert errors(single)["2-unfrozen"]["test_error"] < 0.65
    assert errors(multi)["3-retrained"]["test_error"] < 0.65
    for test, folder in (("single_model_test.py", single), ("baidu_dog_test.py", multi)):
        output = tmp_path / f"{folder.name}.txt"
        run(script, test, "--run", folder, "--images", dogs / "test", "--output", output)
        rows = [line.split("\t") for line in output.read_text().splitlines()]
        assert sorted(row[1] for row in rows) == sorted(p.stem for p in (dogs / "test").iterdir())
        assert {row[0] for row in rows} <= {str(number) for number in range(10)}
        assert len({row[0] for row in rows}) > 5


def test_the_flowers_from_class_folders_to_submission(script, shared, training, tmp_path):
    flowers = shared / "data/flowers"
    data, multi = tmp_path / "data", tmp_path / "multi"
    told = run(
        script,
        "img2keras.py",
        "--source",
        flowers / "train",
        "--output",
        data,
        "--valid-fraction",
        "0.2",
    )
    assert "class_folders" in told and "1020 images" in told
    manifest = pd.read_csv(data / "manifest.csv")
    assert manifest["label"].nunique() == 17
    # Real near-duplicates, none of them on both sides of the split.
    groups = manifest.groupby("group")["split"].nunique()
    assert (manifest["group"].value_counts() > 1).sum() > 20
    assert groups.max() == 1
    run(script, "froze_fine_tune.py", "--data", data, "--run", multi, *training)
    assert errors(multi)["2-unfrozen"]["valid_error"] < 0.7
    sample, output = flowers / "kaggle_sample_submission.csv", tmp_path / "predict.csv"
    run(
        script,
        "baidu_dog_test.py",
        "--run",
        multi,
        "--images",
        flowers / "test",
        "--output",
        output,
        "--format",
        "kaggle-label",
        "--sample-submission",
        sample,
        "--flip",
    )
    with sample.open() as theirs, output.open() as ours:
        asked, answered = list(csv.reader(theirs)), list(csv.reader(ours))
    assert [row[0] for row in answered] == [row[0] for row in asked]
    assert answered[0] == asked[0]
    assert {row[1] for row in answered[1:]} <= set(manifest["label"])
