"""A data set opens as it was made, wherever it stands, and says what is wrong with it."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finegrain.datasets import manifest
from finegrain.datasets.manifest import DataSet, category_ids, open_data_set
from finegrain.errors import UserError

HEADER = "path,label,split,width,height,sha1,extra\n"
ROWS = [
    ("train/10/a b.jpg", "10", "train"),
    ("train/2/1.jpg", "2", "train"),
    ("valid/2/2.jpg", "2", "valid"),
    ("valid/NA/é.jpg", "NA", "valid"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    lines = [
        f"{path},{label},{split},4,3,{number:040x},x\n"
        for number, (path, label, split) in enumerate(ROWS)
    ]
    for path, _, _ in ROWS:
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).touch()
    (data / "manifest.csv").write_text(HEADER + "".join(lines), encoding="utf-8")
    (data / "classes.json").write_text(json.dumps(["2", "10", "NA"]))
    return data


def test_paths_labels_and_rows_go_together(folder: Path):
    data = open_data_set(folder)
    assert data.folder == folder and data.classes == ["2", "10", "NA"]
    assert data.splits == ["train", "valid"]
    assert data.paths("valid") == [folder / "valid/2/2.jpg", folder / "valid/NA/é.jpg"]
    assert data.labels("train").tolist() == [1, 0] and data.labels("train").dtype == np.int64
    assert data.labels("valid").tolist() == [0, 2]
    assert data.rows("train")["width"].tolist() == [4, 4]
    assert data.paths("test") == [] and data.labels("test").shape == (0,)


def test_a_relative_folder_gives_absolute_paths(folder: Path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert all(path.is_absolute() for path in open_data_set("data").paths("train"))


def test_digest_knows_content_and_not_the_place(folder: Path, tmp_path: Path):
    digest = open_data_set(folder).digest
    assert len(digest) == 64
    moved = shutil.copytree(folder, tmp_path / "moved")
    header, *lines = (moved / "manifest.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (moved / "manifest.csv").write_text(header + "".join(lines[::-1]), encoding="utf-8")
    assert open_data_set(moved).digest == digest
    for old, new in [("train/2/1.jpg,2", "train/2/1.jpg,10"), ("0003", "0004")]:
        text = (folder / "manifest.csv").read_text(encoding="utf-8")
        (moved / "manifest.csv").write_text(text.replace(old, new), encoding="utf-8")
        if new.endswith("10"):
            (moved / "classes.json").write_text('["10", "NA", "2"]')
            assert "one class only" in refusal(moved)
        else:
            assert open_data_set(moved).digest != digest
    (moved / "manifest.csv").write_text((folder / "manifest.csv").read_text("utf-8"), "utf-8")
    (moved / "classes.json").write_text('["10", "2", "NA"]')
    assert open_data_set(moved).digest != digest


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_data_set(folder)
    return str(caught.value)


def test_no_folder_and_no_manifest_name_the_command(folder: Path):
    assert "python img2keras.py --source" in refusal(folder / "absent")
    (folder / "manifest.csv").unlink()
    assert "has no manifest.csv" in refusal(folder) and "img2keras.py" in refusal(folder)


def test_an_unfinished_folder_is_not_trained_on(folder: Path):
    (folder / ".unfinished.csv").touch()
    assert "was not finished" in refusal(folder)


def test_missing_images_are_counted(folder: Path):
    (folder / "valid/2/2.jpg").unlink()
    (folder / "train/2/1.jpg").unlink()
    assert "2 of 4 images" in refusal(folder) and "train/2/1.jpg" in refusal(folder)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("sha1", "md5", "column sha1 is missing"),
        (",4,3,", ",wide,3,", "no number"),
        (",train,", ",training,", "the split 'training'"),
        (",NA,", ",cat,", "the label 'cat'"),
        ("train/2/1.jpg", "../1.jpg", "not below"),
        (",train,", ",valid,", "no training images"),
        ("x\n", "x,y,z\n", "entries in row 1"),
    ],
)
def test_a_broken_manifest_is_refused(folder: Path, old: str, new: str, reason: str):
    text = (folder / "manifest.csv").read_text(encoding="utf-8")
    count = 1 if old in ("x\n", "sha1") else -1
    assert old in text
    (folder / "manifest.csv").write_text(text.replace(old, new, count), encoding="utf-8")
    assert reason in refusal(folder)


@pytest.mark.parametrize(
    ("group", "is_sound"), [("", True), ("3", True), ("x", False), ("1.5", False)]
)
def test_a_group_of_near_duplicates_is_a_number_or_none(folder: Path, group: str, is_sound: bool):
    header, *lines = (folder / "manifest.csv").read_text(encoding="utf-8").splitlines()
    rows = [f"{header},group", *(f"{line},{group}" for line in lines)]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    if is_sound:
        assert len(open_data_set(folder).table) == len(lines)
    else:
        assert f"the group {group!r}, which is no number" in refusal(folder)


@pytest.mark.parametrize("content", ["", "{", "{}", '["a", "a"]', "[1, 2]"])
def test_a_broken_class_list_is_refused(folder: Path, content: str):
    (folder / "classes.json").write_text(content)
    assert re.search(r"classes\.json is (no list|damaged)", refusal(folder))


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"\n\n"])
def test_a_manifest_that_is_no_table_is_refused(folder: Path, content: bytes):
    (folder / "manifest.csv").write_bytes(content)
    assert "is no manifest" in refusal(folder)


def data_set(labels: str, ids: list[str] | None) -> DataSet:
    table = pd.DataFrame({"label": list(labels)})
    if ids is not None:
        table["category_id"] = ids
    return DataSet(Path("data"), sorted(set(labels)), table, "")


def test_ids_in_the_order_of_the_classes():
    assert category_ids(data_set("baab", ["1", "20", "20", "1"])) == ["20", "1"]
    assert category_ids(data_set("ab", None)) is None


@pytest.mark.parametrize("ids", [["1", "2", "3"], ["1", "1", "1"], ["1", "1", ""]])
def test_an_edited_manifest_is_refused(ids: list[str]):
    with pytest.raises(UserError, match="does not give each class a category_id of its own"):
        category_ids(data_set("aab", ids))


def test_a_class_without_images_has_no_id():
    data = DataSet(Path("data"), ["a", "b", "c"], data_set("ab", ["1", "2"]).table, "")
    with pytest.raises(UserError, match="category_id"):
        category_ids(data)


def test_the_digest_is_that_of_plain_json(monkeypatch):
    rows = [(f"train/é{n}.jpg", f'"{n % 3}"', "train", f"{n:040x}") for n in range(7, 0, -1)]
    table = pd.DataFrame(rows, columns=["path", "label", "split", "sha1"])
    classes = ['"0"', '"1"', '"2"']
    plain = hashlib.sha256(json.dumps([classes, sorted(rows)]).encode()).hexdigest()
    for at_once in (1, 2, 3, 7, 100):
        monkeypatch.setattr(manifest, "ROWS_AT_ONCE", at_once)
        assert manifest.digest(table, classes) == plain
    nothing = table.iloc[:0]
    assert manifest.digest(nothing, []) == hashlib.sha256(b"[[], []]").hexdigest()


def test_missing_images_are_those_that_are_no_files(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/1.jpg", "a/b/2.jpg", "3.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "a" / "link.jpg").symlink_to(tmp_path / "3.jpg")
    (tmp_path / "a" / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    names = "a/1.jpg a/b/2.jpg 3.jpg a/link.jpg a/lost.jpg a/b a/c/4.jpg a//1.jpg ./3.jpg a/0.jpg"
    names = [*names.split(), "a/\0.jpg", "\0/a.jpg", "a/" + 400 * "x"]
    slow = [name for name in names if not os.path.isfile(tmp_path / name)]
    assert manifest._missing(names, tmp_path) == slow
    assert slow[:3] == ["a/lost.jpg", "a/b", "a/c/4.jpg"]
