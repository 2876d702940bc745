"""Submission files: what is written is read back and compared by id and class name."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finegrain.errors import UserError
from finegrain.submission.class_probabilities import ClassProbabilities
from finegrain.submission.submission import check_output, read_sample_submission, write_submission

SHARED = Path(__file__).parents[2] / "../shared/data"
AWKWARD = ["Shih-Tzu", 'the "big", one', "猫, 狗", "-dash", " space "]


def table_of(ids, classes, seed=0):
    values = np.random.default_rng(seed).dirichlet(np.ones(len(classes)), len(ids))
    return ClassProbabilities(list(ids), list(classes), values.astype("float32"))


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def sample_file(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return read_sample_submission(path)


# ---- the formats ----


def test_baidu(tmp_path):
    values = np.array([[0.2, 0.8], [0.9, 0.1]], dtype="float32")
    table = ClassProbabilities(["b", "a"], ["3", "12"], values)
    assert write_submission(table, tmp_path / "predict.txt", "baidu") == 2
    assert (tmp_path / "predict.txt").read_bytes() == b"12\tb\n3\ta\n"


def test_kaggle_label_of_two_classes_is_the_clipped_probability_of_the_second(tmp_path):
    second = np.array([0.0, 0.004, 0.25, 0.996, 1.0])
    values = np.stack([1 - second, second], axis=1).astype("float32")
    table = ClassProbabilities(list("abcde"), ["cat", "dog"], values)
    write_submission(table, tmp_path / "out.csv", "kaggle-label")
    assert (tmp_path / "out.csv").read_text() == (
        "id,label\na,0.005\nb,0.005\nc,0.25\nd,0.995\ne,0.995\n"
    )


def test_kaggle_label_of_more_classes_is_the_name_of_the_most_probable(tmp_path):
    table = table_of(["1", "2", "3"], AWKWARD)
    write_submission(table, tmp_path / "out.csv", "kaggle-label")
    expected = [AWKWARD[column] for column in table.probabilities.argmax(axis=1)]
    assert read_csv(tmp_path / "out.csv") == [
        ["id", "label"],
        *(list(row) for row in zip(["1", "2", "3"], expected, strict=True)),
    ]


names = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0\t\r\n"), min_size=1, max_size=6),
    min_size=1,
    max_size=6,
    unique=True,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(ids=names, classes=names, seed=st.integers(0, 9))
def test_round_trip_of_any_names(tmp_path, ids, classes, seed):
    table = table_of(ids, classes, seed)
    write_submission(table, tmp_path / "p.csv", "probabilities")
    header, *rows = read_csv(tmp_path / "p.csv")
    assert header == ["id", *classes]
    assert [row[0] for row in rows] == ids
    read = np.array([row[1:] for row in rows]).astype("float32")
    np.testing.assert_array_equal(read, table.probabilities)

    write_submission(table, tmp_path / "predict.txt", "baidu")
    text = (tmp_path / "predict.txt").read_bytes().decode("utf-8")
    lines = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    assert lines == [
        [label, image] for image, label in zip(ids, table.most_probable(), strict=True)
    ]


def test_a_file_name_that_is_not_utf8_goes_out_as_it_came(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write_submission(table_of([name], ["a", "b"]), tmp_path / "predict.txt")
    assert b"\tcaf\xe9\n" in (tmp_path / "predict.txt").read_bytes()


@pytest.mark.parametrize("ids, classes", [(["a\tb"], ["x", "y"]), (["a"], ["x\n", "y"])])
def test_names_with_tabs_and_line_breaks_are_refused(tmp_path, ids, classes):
    with pytest.raises(UserError, match="holds a tab or a line break"):
        write_submission(table_of(ids, classes), tmp_path / "predict.txt")
    assert list(tmp_path.iterdir()) == []


# ---- the file ----


def test_makes_the_folder_and_replaces_an_earlier_submission(tmp_path):
    output = tmp_path / "new" / "folder" / "predict.txt"
    write_submission(table_of(["1", "2"], ["a", "b"]), output)
    write_submission(table_of(["3"], ["a"]), output)
    assert output.read_text() == "a\t3\n"
    assert [path.name for path in output.parent.iterdir()] == ["predict.txt"]


def test_a_failed_write_leaves_the_earlier_submission(tmp_path, monkeypatch):
    output = tmp_path / "predict.txt"
    output.write_text("earlier")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="full"):
        write_submission(table_of(["1"], ["a"]), output)
    assert output.read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["predict.txt"]


def test_places_that_cannot_be_written_are_found_early(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"):
        check_output(tmp_path / "file" / "predict.txt")
    check_output(tmp_path / "new" / "predict.txt")
    assert (tmp_path / "new").is_dir()


# ---- filled into a sample ----


def test_sample_gives_header_ids_and_order(tmp_path):
    """Also through a byte order mark, Windows line ends, quotes and ids with a suffix."""
    text = '\ufeff"Image, id",predicted\r\n10.jpg,0\r\n"2",0\r\n1.JPG,0\r\n'
    sample = sample_file(tmp_path / "sample.csv", text)
    table = table_of(["1", "2", "3", "10"], ["a", "b", "c"])
    answer = dict(zip(table.ids, table.most_probable(), strict=True))
    assert write_submission(table, tmp_path / "out.csv", "kaggle-label", sample) == 3
    assert read_csv(tmp_path / "out.csv") == [
        ["Image, id", "predicted"],
        ["10.jpg", answer["10"]],
        ["2", answer["2"]],
        ["1.JPG", answer["1"]],
    ]


def test_an_id_that_looks_like_a_file_name_is_taken_as_it_is(tmp_path):
    sample = sample_file(tmp_path / "sample.csv", "id,label\na.jpg,0\nv1.2,0\n")
    assert sample.image_ids(["a.jpg", "a", "v1.2", "v1"]) == ["a.jpg", "v1.2"]


def test_sample_gives_the_order_of_classes(tmp_path):
    sample = sample_file(tmp_path / "sample.csv", 'image,"b, c",a\n2,0,0\n1,0,0\n')
    table = table_of(["1", "2"], ["a", "b, c"])
    write_submission(table, tmp_path / "out.csv", "probabilities", sample)
    header, *rows = read_csv(tmp_path / "out.csv")
    assert header == ["image", "b, c", "a"]
    assert [row[0] for row in rows] == ["2", "1"]
    read = np.array([row[1:] for row in rows]).astype("float32")
    np.testing.assert_array_equal(read, table.probabilities[::-1, ::-1])


@pytest.mark.parametrize(
    "text, submission_format, complaint",
    [
        ("id,label\n9,0\n1,0\n8,0\n", "kaggle-label", r"asks for 9, .*\(2 of its 3 ids"),
        ("id,label\n1,0\n1.jpg,0\n", "kaggle-label", "lists the id 1 twice"),
        ("id,label\n1,0\n1,0\n", "kaggle-label", "lists the id 1 twice"),
        ("id,a,b,c\n1,0,0,0\n", "kaggle-label", "has 4 columns"),
        ("id,label\n1,0\n", "probabilities", "lacks a column for 3 of the classes, the first is a"),
        ("id,a,b,c,d\n1,0,0,0,0\n", "probabilities", "has a column for what is no class: d"),
        ("id,a,b,c,c\n1,0,0,0,0\n", "probabilities", "names a class in two columns"),
        ("id,label\n1,0\n", "baidu", "takes no sample"),
        ("id,label\n", "kaggle-label", "lists no ids"),
        ("", "kaggle-label", "must open with a header"),
        ("id;label\n1;0\n", "kaggle-label", "must open with a header"),
        ("id,label\n1,0\n2\n", "kaggle-label", "row 2 of .* has 1 values"),
    ],
)
def test_samples_that_do_not_fit(tmp_path, text, submission_format, complaint):
    output = tmp_path / "out.csv"
    with pytest.raises(UserError, match=complaint):
        sample = sample_file(tmp_path / "sample.csv", text)
        write_submission(table_of(["1", "2"], ["a", "b", "c"]), output, submission_format, sample)
    assert not output.exists()


def test_samples_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        read_sample_submission(tmp_path / "sample.csv")
    with pytest.raises(UserError, match="not a CSV file in UTF-8"):
        sample_file(tmp_path / "sample.csv", "id,label\ncafé,0\n", encoding="latin-1")


@pytest.mark.skipif(not SHARED.is_dir(), reason="no folder `shared` beside the repository")
@pytest.mark.parametrize(
    "folder, name, classes",
    [
        ("cats_dogs", "sample_submission.csv", ["cat", "dog"]),
        ("flowers", "kaggle_sample_submission.csv", ["category_1", "category_2", "category_10"]),
    ],
)
def test_samples_of_real_leaderboards(tmp_path, folder, name, classes):
    from finegrain.datasets.unlabelled_images import unlabelled_images

    images = unlabelled_images(SHARED / folder / "test", classes)
    sample = read_sample_submission(SHARED / folder / name)
    write_submission(table_of(images, classes), tmp_path / "out.csv", "kaggle-label", sample)
    header, *rows = read_csv(tmp_path / "out.csv")
    original_header, *original = read_csv(SHARED / folder / name)
    assert header == original_header
    assert [row[0] for row in rows] == [row[0] for row in original]
    assert len(rows) == len(images)
