"""A JSON in the place of a folder of test images."""

import json
from pathlib import Path

import pytest

from finegrain.errors import UserError
from finegrain.submission.unlabelled_folder import unlabelled_images

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def write(path: Path, content) -> Path:
    path.write_text(json.dumps(content))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        unlabelled_images(path)
    return str(error.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test").mkdir()
    for name in ("a.jpg", "b.jpg", "7.jpg"):
        (tmp_path / "test" / name).touch()
    return tmp_path / "test"


def test_ids_come_from_the_json_in_its_order(folder: Path, tmp_path: Path):
    entries = [{"id": 30, "file_name": "b.jpg"}, {"id": "2", "file_name": "a.jpg"}, {"id": 7}]
    listed = unlabelled_images(write(tmp_path / "test.json", {"images": entries}))
    assert listed == {
        "30": folder / "b.jpg",
        "2": folder / "a.jpg",
        "7": folder / "7.jpg",
    }
    assert list(listed) == ["30", "2", "7"]


def test_a_missing_image_keeps_its_row(folder: Path, tmp_path: Path):
    entries = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "gone.jpg"}]
    listed = unlabelled_images(write(tmp_path / "test.json", {"images": entries}))
    assert listed["2"] == folder / "gone.jpg"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], "lists no images"),
        ([{"id": 1, "file_name": "../../x.jpg"}], "images[0] has the file name"),
        ([{"id": "../../../x"}], "which leads out of the data folder"),
        ([{"id": 1, "file_name": "a.jpg"}, {"id": 1}], "images[1] has the id 1, as images[0] has"),
        ([{"file_name": "a.jpg"}], "images[0] has no id"),
        ([{"id": 1, "file_name": "gone.jpg"}], "none of the 1 images"),
    ],
)
def test_mistakes(folder: Path, tmp_path: Path, entries: list, expected: str):
    file = write(tmp_path / "test.json", {"images": entries})
    assert expected in refusal(file) and str(file) in refusal(file)


def test_broken_json(tmp_path: Path):
    (tmp_path / "test.json").write_text("{")
    assert "is damaged or no JSON" in refusal(tmp_path / "test.json")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photographs of ../shared are absent")
def test_real_flowers():
    listed = unlabelled_images(SHARED / "flowers" / "test.json")
    assert listed == unlabelled_images(SHARED / "flowers" / "test") and len(listed) == 340
