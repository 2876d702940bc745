"""recipes/merge_features.py as a user runs it: joined by path, compared, submitted, refused."""

import csv
import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

MERGE = "recipes/merge_features.py"
PETS = ["cat", "dog"]
WIDTHS = {"one": 6, "two": 4, "three": 3}


def pets(seed=0):
    """Split -> paths, labels and a matrix (N, 13) that tells cats from dogs, not too well."""
    rng = np.random.default_rng(seed)
    whole = {}
    for split, count in (("train", 60), ("valid", 30), ("test", 20), ("TEST", 12)):
        hidden = np.arange(count) % 2
        matrix = rng.normal(size=(count, 13)) + 1.2 * hidden[:, None]
        paths = [f"{split}/{PETS[label]}/{n}.jpg" for n, label in enumerate(hidden)]
        if split == "TEST":
            paths, hidden = [f"{n}.jpg" for n in range(1, count + 1)], np.full(count, -1)
        whole[split] = (paths, hidden, matrix.astype("float32"))
    return whole


def write_files(folder, make_features, whole=None, **options):
    """A file a backbone, each in an order of its own."""
    whole, files, start = whole or pets(), [], 0
    for number, (name, width) in enumerate(WIDTHS.items()):
        splits = {}
        for split, (paths, labels, matrix) in whole.items():
            order = np.random.default_rng(number).permutation(len(paths))
            splits[split] = (
                [paths[place] for place in order],
                labels[order],
                matrix[order, start : start + width],
            )
        start += width
        files.append(make_features(folder / f"{name}.h5", PETS, splits, **options))
    return files


@pytest.fixture
def files(tmp_path, make_features):
    return write_files(tmp_path, make_features, unreadable={"TEST": ["99.jpg"]})


@pytest.fixture
def sample(tmp_path):
    path = tmp_path / "sample_submission.csv"
    path.write_text("id,label\n" + "".join(f"{n},0.5\n" for n in [12, 99, *range(1, 12)]))
    return path


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_command_of_the_recipe_fills_the_sample(files, sample, script, tmp_path):
    output = tmp_path / "new" / "pred.csv"
    done = script(
        MERGE,
        "--features",
        *files,
        "--sample-submission",
        sample,
        "--output",
        output,
    )
    assert done.returncode == 0, done.stderr
    header, *rows = read_rows(output)
    assert header == ["id", "label"]
    assert [row[0] for row in rows] == [row[0] for row in read_rows(sample)[1:]]
    values = {name: float(value) for name, value in rows}
    assert all(0.005 <= value <= 0.995 for value in values.values())
    # The class prior of the one that could not be read.
    assert values["99"] == pytest.approx(0.5)
    right = [(values[str(n)] > 0.5) == (n % 2 == 0) for n in range(1, 13)]
    assert sum(right) >= 9
    assert "99: empty file" in done.stderr
    for line in ("all 3 merged", "one alone", "without three", "validation", "test "):
        assert any(said.startswith(line) for said in done.stdout.splitlines()), line
    assert "the label is the probability of dog" in done.stdout


def test_logistic_answers_as_scikit_learn_on_rows_joined_by_hand(
    files, sample, script_here, tmp_path
):
    output = tmp_path / "pred.csv"
    status, said, errors = script_here(
        MERGE,
        "--features",
        *files,
        "--classifier",
        "logistic",
        "--c",
        "0.1",
        "--clip",
        "0.05",
        "--no-leave-one-out",
        "--sample-submission",
        sample,
        "--output",
        output,
    )
    assert status == 0, errors
    whole = pets()
    regression = LogisticRegression(C=0.1, max_iter=1000, tol=1e-8)
    regression.fit(whole["train"][2], whole["train"][1])
    expected = regression.predict_proba(whole["TEST"][2])[:, 1].clip(0.05, 0.95)
    written = dict(read_rows(output)[1:])
    for path, value in zip(whole["TEST"][0], expected, strict=True):
        assert float(written[path.removesuffix(".jpg")]) == pytest.approx(value, abs=2e-3)
    valid = regression.predict_proba(whole["valid"][2])
    wrong = float((valid.argmax(axis=1) != whole["valid"][1]).mean())
    assert f"top-1 error {wrong:.4f}, 30 photographs" in said
    table = [line.split() for line in said.splitlines() if line[:4] in ("cat ", "dog ")]
    counts = [[int(number) for number in row[1:]] for row in table]
    expected = [
        [int(((whole["valid"][1] == i) & (valid.argmax(axis=1) == j)).sum()) for j in (0, 1)]
        for i in (0, 1)
    ]
    assert counts == expected
    assert "alone" not in said


def test_streamed_from_disk_it_learns_too_and_the_clip_is_calibrated(files, script_here, tmp_path):
    output = tmp_path / "pred.csv"
    status, said, errors = script_here(
        MERGE,
        "--features",
        *files,
        "--memory-gb",
        "0",
        "--normalise",
        "standardise",
        "two=l2",
        "--valid-fraction",
        "0.25",
        "--calibrate-clip",
        "--optimizer",
        "adam",
        "--learning-rate",
        "0.01",
        "--epochs",
        "10",
        "--format",
        "probabilities",
        "--output",
        output,
    )
    assert status == 0, errors
    assert "68 rows train, streamed from disk; 22 rows judge: 0.25 of" in said
    clip = float(said.split("clip calibrated on the validation: ")[1].split(",")[0])
    header, *rows = read_rows(output)
    assert header == ["id", "cat", "dog"] and len(rows) == 13
    values = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)
    assert values.min() >= clip * 0.999


def test_the_scores_tell_validation_and_test_of_every_line(files, script_here, tmp_path):
    scores = tmp_path / "scores.json"
    status, said, errors = script_here(
        MERGE,
        "--features",
        *files,
        "--classifier",
        "logistic",
        "--c",
        "0.1",
        "--clip",
        "0.05",
        "--scores",
        scores,
    )
    assert status == 0, errors
    written = json.loads(scores.read_text())
    assert list(written) == [
        "all 3 merged",
        "one alone",
        "two alone",
        "three alone",
        "without one",
        "without two",
        "without three",
    ]
    whole = pets()
    columns = {"all 3 merged": slice(0, 13), "two alone": slice(6, 10), "without one": slice(6, 13)}
    for label, some in columns.items():
        regression = LogisticRegression(C=0.1, max_iter=1000, tol=1e-8)
        regression.fit(whole["train"][2][:, some], whole["train"][1])
        for split in ("valid", "test"):
            given = regression.predict_proba(whole[split][2][:, some])
            labels, told = whole[split][1], written[label][split]
            assert told["photographs"] == len(labels)
            assert told["top1_error"] == pytest.approx((given.argmax(axis=1) != labels).mean())
            assert told["log_loss"] == pytest.approx(log_loss(labels, given), abs=2e-3)
            clipped = log_loss(labels, given.clip(0.05, 0.95))
            assert told["clipped_log_loss"] == pytest.approx(clipped, abs=2e-3)
        line = next(line for line in said.splitlines() if line.startswith(label))
        numbers = [
            f"{written[label][s][k]:.4f}"
            for s in ("valid", "test")
            for k in ("log_loss", "top1_error")
        ]
        assert set(numbers) <= set(line.split())


def test_the_same_command_twice_writes_the_same(files, script_here, tmp_path):
    written = []
    for name in ("a.csv", "b.csv"):
        status, *_ = script_here(
            MERGE, "--features", *files, "--output", tmp_path / name, "--no-leave-one-out"
        )
        assert status == 0
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


def test_category_ids_and_the_baidu_format(tmp_path, make_features, script_here):
    paths = write_files(tmp_path, make_features, category_ids=["17", "4"])
    for form, separator, place in (("kaggle-label", ",", 1), ("baidu", "\t", 0)):
        output = tmp_path / "predict.txt"
        status, _, errors = script_here(
            MERGE,
            "--features",
            *paths,
            "--format",
            form,
            "--output",
            output,
            "--no-leave-one-out",
        )
        assert status == 0, errors
        rows = [line.split(separator) for line in output.read_text().splitlines()]
        assert {row[place] for row in rows[place:]} == {"17", "4"}


def test_a_picture_of_the_model_where_graphviz_is(files, script_here, tmp_path, monkeypatch):
    dot = tmp_path / "bin/dot"
    dot.parent.mkdir()
    dot.write_text('#!/bin/sh\n/bin/cat "$2"\n')
    dot.chmod(0o755)
    picture, output = tmp_path / "merged.svg", tmp_path / "pred.csv"
    for path in (str(dot.parent), ""):
        monkeypatch.setenv("PATH", path)
        status, said, errors = script_here(
            MERGE,
            "--features",
            *files,
            "--plot",
            picture,
            "--output",
            output,
            "--no-leave-one-out",
            "--epochs",
            1,
        )
        assert status == 0, errors
        assert output.exists() and picture.exists() == (path != "")
        assert (f"the model is drawn in {picture}" in said) == (path != "")
        assert ("apt install graphviz" in said) == (path == "")
        output.unlink()
        picture.unlink(missing_ok=True)


def without(whole, split, count):
    paths, labels, matrix = whole[split]
    return whole | {split: (paths[:-count], labels[:-count], matrix[:-count])}


def mistaken_file(kind, path, make_features):
    """A file that does not fit the others, and what is said of it."""
    whole = {split: (p, y, m[:, :2].copy()) for split, (p, y, m) in pets().items()}
    options, classes = {}, PETS
    if kind == "lacks photographs":
        whole = without(whole, "train", 5)
    elif kind == "other photographs":
        paths, labels, matrix = whole["TEST"]
        whole["TEST"] = (["zebra.jpg", *paths[1:]], labels, matrix)
    elif kind == "other labels":
        paths, labels, matrix = whole["valid"]
        whole["valid"] = (paths, 1 - labels, matrix)
    elif kind == "lacks a split":
        del whole["TEST"]
    elif kind == "other class order":
        classes = PETS[::-1]
    elif kind == "other classes":
        classes = ["cat", "wolf"]
    elif kind == "other data set":
        options = {"data": "e"}
    elif kind == "not a number":
        whole["train"][2][7, 1] = np.nan
    elif kind == "a photograph twice":
        paths, labels, matrix = whole["valid"]
        whole["valid"] = (["valid/cat/0.jpg", *paths[:-1]], labels, matrix)
    make_features(path, classes, whole, **options)
    if kind == "cut short":
        path.write_bytes(path.read_bytes()[:-40])
    elif kind == "older layout":
        import h5py

        path.unlink()
        with h5py.File(path, "w") as file:
            file["train"] = np.zeros((3, 2))
    elif kind == "no HDF5":
        path.write_text("features")
    elif kind == "unfinished":
        import h5py

        with h5py.File(path, "r+") as file:
            file["done/valid"][3] = 0
    elif kind == "absent":
        path.unlink()


MISTAKEN_FILES = {
    "lacks photographs": "has other photographs than {one} in train: it lacks train/",
    "other photographs": "in TEST: it lacks 1.jpg and adds zebra.jpg",
    "other labels": "gives 30 photographs of valid other labels",
    "lacks a split": "has other splits than {one}: it lacks TEST",
    "other class order": "it orders the same classes otherwise",
    "other classes": "it lacks dog and adds wolf",
    "other data set": "different data sets",
    "not a number": "not finite in row 7 of train (train/dog/7.jpg)",
    "a photograph twice": "has valid/cat/0.jpg twice in valid, in rows 0 and 1",
    "cut short": "damaged or cut short",
    "older layout": "leave it out if it is of another layout",
    "no HDF5": "is no HDF5 file",
    "unfinished": "is not finished: 1 of 30 rows of valid",
    "absent": "there is no file",
}


@pytest.mark.parametrize("kind", MISTAKEN_FILES)
def test_a_file_that_does_not_fit_is_named(kind, files, make_features, script_here, tmp_path):
    output = tmp_path / "pred.csv"
    output.write_text("earlier")
    mistaken_file(kind, tmp_path / "mistaken.h5", make_features)
    status, _, errors = script_here(
        MERGE, "--features", files[0], tmp_path / "mistaken.h5", "--output", output
    )
    assert status == 2
    (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert f"{tmp_path / 'mistaken.h5'}" in sentence
    assert MISTAKEN_FILES[kind].format(one=files[0]) in sentence
    assert output.read_text() == "earlier"


MISTAKES = {
    "no file": (["--features"], "--features names no file"),
    "a file twice": (["--features", "{one}", "{one}"], "have one name, one"),
    "unknown id": (["--sample-submission", "{tmp}/unknown.csv"], "asks for 1000"),
    "an id twice": (["--sample-submission", "{tmp}/twice.csv"], "lists the id 1 twice"),
    "sample of many columns": (
        ["--sample-submission", "{tmp}/columns.csv", "--format", "kaggle-label"],
        "has 3 columns",
    ),
    "sample as output": (
        ["--sample-submission", "{tmp}/same.csv", "--output", "{tmp}/same.csv"],
        "would replace an input",
    ),
    "unknown split": (["--predict", "nowhere"], "no such split"),
    "normalise otherwise": (["--normalise", "twice"], "--normalise takes none"),
    "normalise another": (["--normalise", "four=l2"], "none of one, two, three"),
    "no epochs": (["--epochs", "0"], "--epochs must be at least 1"),
    "clip": (["--clip", "0.5"], "--clip must be"),
    "fraction": (["--valid-fraction", "1"], "--valid-fraction must be above 0 and below 1"),
    "picture": (["--plot", "{tmp}/merged.doc"], "must end in .png or .svg or .pdf"),
    "output is a folder": (["--output", "{tmp}"], "is a folder"),
    "logistic in no memory": (["--classifier", "logistic", "--memory-gb", "0"], "--memory-gb"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence(mistake, files, script_here, tmp_path):
    (tmp_path / "unknown.csv").write_text("id,label\n1,0\n1000,0\n")
    (tmp_path / "twice.csv").write_text("id,label\n1,0\n1,0\n")
    (tmp_path / "columns.csv").write_text("id,cat,dog\n1,0,0\n")
    (tmp_path / "same.csv").write_text("id,label\n1,0\n")
    words, complaint = MISTAKES[mistake]
    words = [word.format(tmp=tmp_path, one=files[0]) for word in words]
    if "--features" not in words:
        words += ["--features", *files]
    if "--output" not in words:
        words += ["--output", tmp_path / "pred.csv"]
    status, _, errors = script_here(MERGE, *words)
    assert status == 2
    (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert complaint in sentence
    assert not (tmp_path / "pred.csv").exists()


def test_two_images_of_one_id_are_told_apart_by_their_folder(tmp_path, make_features, script_here):
    whole = pets()
    whole["MORE"] = (["1.jpg"], np.array([-1]), whole["TEST"][2][:1])
    path = make_features(tmp_path / "one.h5", PETS, whole)
    words = (MERGE, "--features", path, "--output", tmp_path / "pred.csv")
    status, _, errors = script_here(*words)
    assert status == 2 and "TEST/1.jpg have one id, 1" in errors
    status, *_ = script_here(*words, "--predict", "MORE")
    assert status == 0 and len(read_rows(tmp_path / "pred.csv")) == 2
    # Training images too, for whom a merged model shall teach.
    flags = ("--predict", "train", "--format", "probabilities")
    status, _, errors = script_here(*words, *flags)
    assert status == 0, errors
    assert len(read_rows(tmp_path / "pred.csv")) == 1 + len(whole["train"][0])


@pytest.mark.parametrize("script_name", [MERGE, "recipes/export_features.py"])
def test_help_lists_the_flags(script_name, script_here):
    status, said, _ = script_here(script_name, "--help")
    assert status == 0 and "--output" in said and "--seed" in said
