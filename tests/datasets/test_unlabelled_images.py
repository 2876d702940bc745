"""A folder of test images, or a JSON in its place, as users have them."""

import json
import random
from pathlib import Path

import pytest

from finegrain.datasets.unlabelled_images import unlabelled_images
from finegrain.errors import UserError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"not looked at")
    return folder


def test_ids_are_stems_in_natural_order(tmp_path):
    names = ["1.jpg", "2.JPG", "9.png", "10.jpeg", "10b.jpg", "100.webp", "狗 1.jpg", "狗 02.jpg"]
    shuffled = random.Random(0).sample(names, len(names))
    images = unlabelled_images(touch(tmp_path, *shuffled))
    assert list(images) == ["1", "2", "9", "10", "10b", "100", "狗 1", "狗 02"]
    assert images["10"] == tmp_path / "10.jpeg"


def test_a_dot_in_the_name_belongs_to_the_id(tmp_path):
    assert list(unlabelled_images(touch(tmp_path, "v1.2.jpg"))) == ["v1.2"]


def test_other_files_and_hidden_ones_are_left_out(tmp_path):
    touch(tmp_path, "1.jpg", ".2.jpg", "._1.jpg", "Thumbs.db", "notes.txt", "3")
    touch(tmp_path / "4.jpg")
    touch(tmp_path / "elsewhere", "5.jpg")
    assert list(unlabelled_images(tmp_path)) == ["1"]


def test_a_broken_link_keeps_its_row(tmp_path):
    touch(tmp_path, "1.jpg")
    (tmp_path / "2.jpg").symlink_to(tmp_path / "gone.jpg")
    assert list(unlabelled_images(tmp_path)) == ["1", "2"]


def refusal(folder, classes=()):
    with pytest.raises(UserError) as error:
        unlabelled_images(folder, classes)
    return str(error.value)


def test_no_such_folder(tmp_path):
    assert "there is no folder" in refusal(tmp_path / "none")


def test_a_file(tmp_path):
    assert "is a file" in refusal(touch(tmp_path, "1.jpg") / "1.jpg")


def test_empty(tmp_path):
    assert "holds no images" in refusal(tmp_path)
    assert "holds no images" in refusal(touch(tmp_path, "list.txt", ".1.jpg"))


def test_two_images_with_one_id(tmp_path):
    message = refusal(touch(tmp_path, "7.png", "7.jpg", "8.jpg"))
    assert "7.jpg" in message and "7.png" in message


def test_the_training_classes(tmp_path):
    for name in ("boxer", "pug", "collie", "husky"):
        touch(tmp_path / name, "1.jpg")
    assert "subfolders only (boxer, collie, husky and 1 more)" in refusal(tmp_path)
    touch(tmp_path, "stray.jpg")
    assert list(unlabelled_images(tmp_path)) == ["stray"]
    assert "holds training classes (husky, pug)" in refusal(tmp_path, ["pug", "husky", "mastiff"])


def test_a_class_named_like_a_folder_of_something_else(tmp_path):
    touch(tmp_path, "1.jpg")
    touch(tmp_path / "boxer", "notes.txt")
    assert list(unlabelled_images(tmp_path, ["boxer"])) == ["1"]


def write(path: Path, content) -> Path:
    path.write_text(json.dumps(content))
    return path


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
def test_mistakes_in_a_json(folder: Path, tmp_path: Path, entries: list, expected: str):
    file = write(tmp_path / "test.json", {"images": entries})
    assert expected in refusal(file) and str(file) in refusal(file)


def test_broken_json(tmp_path: Path):
    (tmp_path / "test.json").write_text("{")
    assert "is damaged or no JSON" in refusal(tmp_path / "test.json")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photographs of ../shared are absent")
def test_real_flowers():
    listed = unlabelled_images(SHARED / "flowers" / "test.json")
    assert listed == unlabelled_images(SHARED / "flowers" / "test") and len(listed) == 340
