"""Top answers; what is written is read again, and what is wrong is named by its row."""

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finegrain.errors import UserError
from finegrain.runs.predictions import (
    COLUMNS,
    joined_answers,
    prediction_rows,
    read_predictions,
    read_sound_predictions,
    top_answers,
    write_predictions,
)

CLASSES = ["NA", 'a "b", c', "<script>", "007", "é\u2028x", "7", "null"]


def table_of(count=9, classes=CLASSES, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(len(classes)), count).astype("float32")
    labels = rng.integers(0, len(classes), count)
    paths = [f"valid/{classes[label]}/{row}.jpg" for row, label in enumerate(labels)]
    answers = top_answers(probabilities, labels)
    return prediction_rows(paths, "valid", labels, answers, classes), probabilities, labels


def test_comes_back_as_it_was_written(tmp_path):
    table, probabilities, labels = table_of(200)
    write_predictions(tmp_path / "predictions.csv", table)
    again = read_predictions(tmp_path / "predictions.csv")
    assert list(again.columns) == list(COLUMNS)
    assert again["predicted"].tolist() == [CLASSES[row.argmax()] for row in probabilities]
    assert again["true"].tolist() == [CLASSES[label] for label in labels]
    assert again["path"].tolist() == table["path"].tolist()
    true = probabilities[np.arange(200), labels]
    assert again["true_probability"].to_numpy().tobytes() == true.tobytes()
    assert again["probability"].dtype == "float32" and again["true_rank"].dtype == "int64"
    assert again["top_5_probability"].tolist() == np.sort(probabilities)[:, -5].tolist()


def test_the_header_is_the_contract(tmp_path):
    write_predictions(tmp_path / "p.csv", table_of()[0])
    header = (tmp_path / "p.csv").read_text(encoding="utf-8").split("\n")[0]
    assert header == (
        "path,split,true,predicted,probability,true_probability,true_rank,top_1,top_1_probability,"
        "top_2,top_2_probability,top_3,top_3_probability,top_4,top_4_probability,top_5,"
        "top_5_probability"
    )


def test_of_two_classes_the_later_columns_are_empty(tmp_path):
    write_predictions(tmp_path / "p.csv", table_of(classes=["cat", "dog"])[0])
    with (tmp_path / "p.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert {row["top_1"], row["top_2"]} == {"cat", "dog"}
    assert row["top_3"] == row["top_5_probability"] == ""
    again = read_predictions(tmp_path / "p.csv")
    assert again["top_4_probability"].isna().all() and (again["top_4"] == "").all()


def test_a_softmax_that_ends_a_hair_above_one_is_one(tmp_path):
    table = table_of()[0]
    table.loc[2, ["probability", "top_1_probability"]] = np.float32(1.0000002)
    write_predictions(tmp_path / "p.csv", table)
    again = read_predictions(tmp_path / "p.csv")
    assert len(again) == 9 and again.loc[2, "probability"] == again.loc[2, "top_1_probability"] == 1


def test_names_that_are_no_utf8(tmp_path):
    table = table_of(1)[0].assign(path="valid/\udcff.jpg")
    write_predictions(tmp_path / "p.csv", table)
    assert b"valid/\xff.jpg" in (tmp_path / "p.csv").read_bytes()
    assert read_predictions(tmp_path / "p.csv")["path"].tolist() == ["valid/\udcff.jpg"]


def test_without_images_the_table_is_empty(tmp_path):
    write_predictions(tmp_path / "p.csv", pd.DataFrame(columns=COLUMNS))
    assert len(read_predictions(tmp_path / "p.csv")) == 0


def test_an_answer_that_is_no_number_is_named_by_its_row(tmp_path):
    _, probabilities, labels = table_of()
    probabilities[[2, 5]] = np.nan
    answers = top_answers(probabilities, labels)
    paths = [f"{row}.jpg" for row in range(9)]
    table = prediction_rows(paths, "valid", labels, answers, CLASSES)
    write_predictions(tmp_path / "p.csv", table)
    with pytest.raises(UserError, match=r"row 3 \(2\.jpg\), and so do 1 more"):
        read_predictions(tmp_path / "p.csv")
    sound, problems = read_sound_predictions(tmp_path / "p.csv")
    assert sound["path"].tolist() == [f"{row}.jpg" for row in (0, 1, 3, 4, 6, 7, 8)]
    assert len(problems) == 1


@pytest.mark.parametrize(
    "column, value, words",
    [
        ("probability", "", "no probability that is a number in row 2"),
        ("true_probability", "often", "no probability that is a number in row 2"),
        ("probability", "inf", "outside 0 to 1 in row 2"),
        ("top_3_probability", "-0.1", "outside 0 to 1 in row 2"),
        ("true_rank", "0", "rank that is no whole number from 1 in row 2"),
        ("true_rank", "1e308", "rank that is no whole number from 1 in row 2"),
        ("true_rank", "1.5", "rank that is no whole number from 1 in row 2"),
        ("predicted", "", "lacks a class in row 2"),
        ("path", "0.jpg", r"a second time in row 2 \(0\.jpg\)"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, column, value, words):
    write_predictions(tmp_path / "p.csv", table_of()[0].assign(path=[f"{i}.jpg" for i in range(9)]))
    text = pd.read_csv(tmp_path / "p.csv", dtype=str, keep_default_na=False)
    text.loc[1, column] = value
    text.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(UserError, match=words):
        read_predictions(tmp_path / "p.csv")
    assert len(read_sound_predictions(tmp_path / "p.csv")[0]) == 8


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "there is no"),
        (b"", "no table of predictions"),
        (b"\x00\x01\x02", "no table of predictions"),
        (b"path,split,true\n", "lacks the column"),
        (",".join([*COLUMNS, "extra"]).encode(), "has the column 'extra'"),
        (",".join(COLUMNS).encode() + b'\n"a', "no table of predictions"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(UserError, match=words) as error:
        read_predictions(tmp_path / "p.csv")
    assert "tools/evaluate.py" in str(error.value)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_agrees_with_a_stable_sort(images, classes, seed):
    rng = np.random.default_rng(seed)
    # Few values, so that ties are many.
    probabilities = rng.integers(0, 4, (images, classes)).astype("float32") / 10
    labels = rng.integers(0, classes, images)
    answers = top_answers(probabilities, labels)
    for row in range(images):
        order = sorted(range(classes), key=lambda place: (-probabilities[row, place], place))
        assert answers.classes[row].tolist() == order[:5]
        assert answers.probabilities[row].tolist() == probabilities[row, order[:5]].tolist()
        assert answers.true_rank[row] == order.index(labels[row]) + 1
        assert answers.true_probability[row] == probabilities[row, labels[row]]


def test_what_is_no_number_is_no_answer():
    probabilities = np.array([[0.2, 0.8], [np.nan, 0.5], [np.inf, 0]], "float32")
    answers = top_answers(probabilities, np.array([1, 1, 0]))
    assert answers.classes.tolist() == [[1, 0], [-1, -1], [-1, -1]]
    assert answers.true_rank.tolist() == [1, 0, 0]
    assert np.isnan(answers.probabilities[1:]).all()
    assert np.isnan(answers.true_probability[1:]).all()
    assert np.isnan(probabilities).sum() == 1, "the caller's numbers were changed"


def test_batches_join_to_the_whole():
    rng = np.random.default_rng(0)
    probabilities, labels = rng.random((7, 12)), rng.integers(0, 12, 7)
    whole = top_answers(probabilities, labels)
    parts = [top_answers(probabilities[some], labels[some]) for some in (slice(3), slice(3, 7))]
    joined = joined_answers(parts)
    assert (joined.classes == whole.classes).all() and (joined.true_rank == whole.true_rank).all()
