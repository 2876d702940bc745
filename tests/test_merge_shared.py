"""`merge_features.py` on files as people share them, and its `--recipe original`."""

import csv
import json

import h5py
import numpy as np
import pytest

MERGE = "recipes/merge_features.py"


@pytest.fixture
def shared(tmp_path):
    """Two backbones' files of two classes, ten test images, and what is right for these."""
    rng = np.random.default_rng(3)
    labels, right = np.repeat([0, 1], 60), np.arange(10) % 2
    centres = rng.normal(size=(2, 8)) * 2
    for name in ("A", "B"):
        with h5py.File(tmp_path / f"gap_{name}.h5", "w") as file:
            file["train"] = (centres[labels] + rng.normal(size=(120, 8))).astype("float32")
            file["label"] = labels
            file["test"] = (centres[right] + rng.normal(size=(10, 8)) / 9).astype("float32")
    return sorted(tmp_path.glob("gap_*.h5")), right


def rows_of(path):
    with path.open(newline="") as file:
        return {row["id"]: float(row["label"]) for row in csv.DictReader(file)}


def test_the_original_recipe_reads_shared_files(shared, script_here, tmp_path):
    files, right = shared
    folder = tmp_path / "test"
    folder.mkdir()
    for number in range(1, 11):
        (folder / f"{number}.jpg").write_bytes(b"")
    output, scores = tmp_path / "pred.csv", tmp_path / "scores.json"
    asked = ("--recipe", "original", "--no-leave-one-out", "--learning-rate", "30")
    status, said, errors = script_here(
        *(MERGE, "--features", *files, "--test-folder", folder, *asked),
        *("--output", output, "--scores", scores),
    )
    assert status == 0, errors
    assert "24 rows judge: the last 0.2 of the rows, shuffled with seed 2017" in said
    (score,) = json.loads(scores.read_text()).values()
    assert score["chosen"] == "epoch 8 of 8"
    rows = rows_of(output)
    # The tenth image stands second: 1, 10, 2, ... as text.
    named = dict(zip(["1", "10", *map(str, range(2, 10))], right, strict=True))
    assert rows.keys() == named.keys()
    assert {name: round(answer) for name, answer in rows.items()} == named
    assert min(rows.values()) >= 0.005 and max(rows.values()) <= 0.995


def test_the_ids_of_a_sample_stand_in_its_order(shared, script_here, tmp_path):
    files, right = shared
    sample, output = tmp_path / "sample.csv", tmp_path / "pred.csv"
    ids = [str(number) for number in (9, 1, 4, 3, 8, 2, 7, 5, 6, 10)]
    sample.write_text("id,label\n" + "".join(f"{each},0.5\n" for each in ids))
    asked = ("--classifier", "logistic", "--valid-fraction", "0.2", "--no-leave-one-out")
    status, _, errors = script_here(
        MERGE, "--features", *files, *asked, "--sample-submission", sample, "--output", output
    )
    assert status == 0, errors
    rows = rows_of(output)
    assert [round(rows[each]) for each in ids] == right.tolist()


def test_a_test_folder_is_of_no_use_to_files_that_name_their_rows(
    make_features, script_here, tmp_path
):
    rows = (["train/a/1.jpg", "train/b/2.jpg"], [0, 1], np.eye(2, dtype="float32"))
    path = make_features(tmp_path / "own.h5", ["a", "b"], {"train": rows})
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "1.jpg").write_bytes(b"")
    asked = ("--features", path, "--test-folder", tmp_path / "test")
    status, _, errors = script_here(MERGE, *asked)
    assert status == 2 and errors.count("\n") == 1 and "leave it out" in errors


def test_rows_that_nobody_names_are_not_submitted(shared, script_here, tmp_path):
    files, _ = shared
    asked = ("--valid-fraction", "0.2", "--output", tmp_path / "pred.csv")
    status, _, errors = script_here(MERGE, "--features", *files, *asked)
    assert status == 2 and "does not say which test images its rows are" in errors
    assert errors.count("\n") == 1
