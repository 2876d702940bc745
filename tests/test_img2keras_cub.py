"""img2keras.py on CUB-200-2011, as a user runs it."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import REPOSITORY, command, obey_ctrl_c
from drawn_cub import BIRDS, SIZE, box_of, edit, make_cub, numbered, picture, plain
from PIL import Image

from finegrain.datasets.gather import checksum
from finegrain.datasets.manifest import open_data_set
from finegrain.errors import UserError

NAMES = [numbered(number) for number in range(3)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_cub(tmp_path / "birds" / "CUB_200_2011")


@pytest.fixture
def img2keras(script_here):
    """Run the command; returns what it printed, or its one sentence if it is to be refused."""

    def run(source: Path, output: Path, *flags, ok: bool = True) -> str:
        arguments = ("--source", source, "--output", output, "--near-distance", "-1", *flags)
        status, printed, errors = script_here("img2keras.py", *arguments)
        if ok:
            assert status == 0, errors
            return printed
        assert status == 2, printed + errors
        (sentence,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        return sentence

    return run


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_official_split(root: Path, tmp_path: Path, img2keras):
    before = tree(root)
    printed = img2keras(root.parent, tmp_path / "data")
    assert "layout   cub (CUB-200-2011's images.txt and its fellows), found" in printed
    assert "images   18 of 3 classes" in printed and "ignored" not in printed
    assert (
        f"split  that of {root / 'train_test_split.txt'}, whose test images go to test/" in printed
    )
    data = open_data_set(tmp_path / "data")
    assert data.classes == NAMES
    assert [len(data.paths(split)) for split in data.splits] == [9, 3, 6]
    assert [np.bincount(data.labels(split)).tolist() for split in data.splits] == [
        [3] * 3,
        [1] * 3,
        [2] * 3,
    ]
    for row in data.table.itertuples():
        image = int(row.image_id)
        assert (row.split == "test") == (image % 3 == 0)
        assert row.label == NAMES[(image - 1) // 6]
        assert row.source.startswith(f"CUB_200_2011/images/{row.label}/{row.label[4:]}_")
        assert os.path.samefile(data.folder / row.path, root.parent / row.source)
    first = tree(tmp_path / "data")
    img2keras(root.parent, tmp_path / "data", "--split", "official")
    assert tree(tmp_path / "data") == first
    assert tree(root) == before


def test_the_test_images_as_validation_and_a_seeded_split(root: Path, tmp_path: Path, img2keras):
    printed = img2keras(root, tmp_path / "data", "--split", "official_valid")
    assert "whose test images are the validation" in printed
    rows = open_data_set(tmp_path / "data").table
    assert {int(i) for i in rows.loc[rows["split"] == "valid", "image_id"]} == {*range(3, 19, 3)}
    assert set(rows["split"]) == {"train", "valid"}

    (root / "train_test_split.txt").unlink()
    message = img2keras(root, tmp_path / "other", ok=False)
    assert f"{root / 'train_test_split.txt'} is missing" in message
    assert "--split seeded" in message and not (tmp_path / "other").exists()
    flags = ("--split", "seeded", "--valid-fraction", "0.3", "--test-fraction", "0.2")
    printed = img2keras(root, tmp_path / "data", *flags)
    assert "split  that of" not in printed
    data = open_data_set(tmp_path / "data")
    assert [len(data.paths(split)) for split in data.splits] == [9, 6, 3]


def crop_by_hand(source: Path, image: int, margin: float) -> np.ndarray:
    left, top, width, height = box_of(image)
    pixels = np.asarray(Image.open(source)).astype(int)
    low_x, low_y = int(max(left - margin * width, 0)), int(max(top - margin * height, 0))
    high_x = int(np.ceil(left + width + margin * width))
    high_y = int(np.ceil(top + height + margin * height))
    return pixels[low_y:high_y, low_x:high_x]


@pytest.mark.parametrize(("flags", "margin"), [((), 0.1), (("--crop-margin", "0"), 0.0)])
def test_crops_hold_the_pixels_of_their_boxes(root: Path, tmp_path: Path, img2keras, flags, margin):
    before = tree(root)
    printed = img2keras(root, tmp_path / "data", "--crop", "boxes", *flags)
    assert "crops  18 images cut to their boxes" in printed and "clipped" not in printed
    data = open_data_set(tmp_path / "data")
    assert len(data.table) == 18
    for row in data.table.itertuples():
        placed = data.folder / row.path
        assert placed.stat().st_nlink == 1 and not placed.is_symlink()
        assert checksum(placed) == (row.sha1, int(row.bytes))
        with Image.open(placed) as image:
            assert image.format == "JPEG" and image.size == (row.width, row.height)
            found = np.asarray(image).astype(int)
        expected = crop_by_hand(root / row.source, int(row.image_id), margin)
        assert found.shape == expected.shape
        assert np.abs(found - expected).mean() < 2
        left, top, right, bottom = map(int, row.crop.split())
        assert (right - left, bottom - top) == (row.width, row.height)
    assert tree(root) == before


def test_crops_twice_then_whole_then_crops_again(root: Path, tmp_path: Path, img2keras):
    output = tmp_path / "data"
    for split in ("official", "seeded"):
        img2keras(root, output, "--crop", "boxes", "--split", split)
        crops, times = tree(output), {p: p.stat().st_mtime_ns for p in output.glob("*/*/*")}
        parts = set(open_data_set(output).table["path"])
        img2keras(root, output, "--crop", "boxes", "--split", split, "--link", "symlink")
        assert tree(output) == crops
        assert {p: p.stat().st_mtime_ns for p in output.glob("*/*/*")} == times
        # The split is that of the whole photographs.
        img2keras(root, output, "--split", split, "--link", "symlink")
        assert set(open_data_set(output).table["path"]) == parts
        assert all(path.is_symlink() for path in output.glob("*/*/*"))
        img2keras(root, output, "--split", split)
        img2keras(root, output, "--crop", "boxes", "--split", split)
        assert tree(output) == crops


def test_crops_of_turned_and_other_photographs(root: Path, tmp_path: Path, img2keras):
    folder = root / "images" / NAMES[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture(90)
    turned.save(folder / f"{BIRDS[0]}_0000_1.jpg", exif=exif, quality=95)
    edit(root / "bounding_boxes.txt", 1, "1 10 20 15 30")
    picture(91).convert("L").save(folder / "grey.png")
    edit(root / "images.txt", 2, f"2 {NAMES[0]}/grey.png")
    (folder / f"{BIRDS[0]}_0001_2.jpg").unlink()
    img2keras(root, tmp_path / "data", "--crop", "boxes", "--crop-margin", "0")
    rows = open_data_set(tmp_path / "data").table.set_index("image_id")
    with Image.open(tmp_path / "data" / rows.at["1", "path"]) as crop:
        assert not crop.getexif()
        found = np.asarray(crop).astype(int)
    # The upright photograph is the stored one turned clockwise; its box counts from there.
    upright = np.rot90(np.asarray(turned), -1)[20:50, 10:25].astype(int)
    assert found.shape == upright.shape and np.abs(found - upright).mean() < 5
    assert rows.at["2", "path"].endswith("/grey.png.jpg")
    with Image.open(tmp_path / "data" / rows.at["2", "path"]) as crop:
        assert (crop.format, crop.mode, crop.size) == ("JPEG", "RGB", (32, 25))


def test_boxes_outside_the_image(root: Path, tmp_path: Path, img2keras):
    boxes = root / "bounding_boxes.txt"
    edit(boxes, 1, "1 -10 -10 500 500")
    edit(boxes, 2, "2 60 0 20 20")
    edit(boxes, 4, "4 10 10 0 20")
    printed = img2keras(root, tmp_path / "data", "--crop", "boxes")
    assert "clipped  1 box reaching beyond the photograph:" in printed
    assert f"{BIRDS[0]}_0000_1.jpg: line 1 of {boxes}" in printed
    assert "unreadable  2 images left out" in printed
    left_out = pd.read_csv(tmp_path / "data" / "unreadable.csv")
    assert left_out["reason"].tolist() == [
        f"its box in line {line} of {boxes} leaves nothing of its 60 x 44 pixels" for line in (2, 4)
    ]
    rows = open_data_set(tmp_path / "data").table.set_index("image_id")
    assert len(rows) == 16 and (rows.at["1", "width"], rows.at["1", "height"]) == SIZE


def test_lists_and_files_that_disagree(tmp_path: Path, img2keras):
    root = make_cub(tmp_path / "CUB_200_2011", on_disk=plain)
    shutil.rmtree(root / "images" / BIRDS[2])
    (root / "images" / BIRDS[0] / f"{BIRDS[0]}_0003_4.jpg").unlink()
    picture(99).save(root / "images" / BIRDS[1] / "new.jpg")
    printed = img2keras(root, tmp_path / "data", "--crop", "boxes")
    assert f"ignored  classes in classes.txt without an image: 1 ({NAMES[2]})" in printed
    left_out = pd.read_csv(tmp_path / "data" / "unreadable.csv")
    assert dict(zip(left_out["path"], left_out["reason"], strict=True)) == {
        f"images/{NAMES[0]}/{BIRDS[0]}_0003_4.jpg": "images.txt lists it, but it is not there",
        f"images/{BIRDS[1]}/new.jpg": "images.txt does not list it",
    }
    data = open_data_set(tmp_path / "data")
    assert data.classes == NAMES[:2] and len(data.table) == 11


def test_copies_that_the_official_split_parts_are_told(root: Path, tmp_path: Path, img2keras):
    folder = root / "images" / NAMES[0]
    shutil.copy(folder / f"{BIRDS[0]}_0000_1.jpg", folder / f"{BIRDS[0]}_0002_3.jpg")
    printed = img2keras(root, tmp_path / "data")
    assert "apart  the official split parts 1 group, so scores flatter:" in printed
    rows = open_data_set(tmp_path / "data").table.set_index("image_id")
    assert rows.at["3", "split"] == "test" and rows.at["1", "split"] != "test"
    printed = img2keras(root, tmp_path / "data", "--split", "seeded")
    assert "apart" not in printed and "2 exact" in printed


@pytest.mark.parametrize(
    ("flags", "spoil", "expected"),
    [
        (
            (),
            lambda root: [edit(root / "train_test_split.txt", n, f"{n} 0") for n in range(7, 13)],
            (
                f"the class {NAMES[1]} has no training image, because .*train_test_split.txt gives "
                "all its 6 readable images"
            ),
        ),
        (("--test-fraction", "0.2"), None, "--test-fraction 0.2 does not go with the official"),
        (
            ("--crop", "boxes"),
            lambda root: (root / "bounding_boxes.txt").unlink(),
            "bounding_boxes.txt is missing",
        ),
        (
            ("--crop", "boxes"),
            lambda root: edit(root / "bounding_boxes.txt", 7, "7 a b c d"),
            "line 7 of .*bounding_boxes.txt has 'a b c d'",
        ),
        (("--crop-margin", "0.2"), None, "--crop-margin is for crops; add --crop boxes"),
        (("--crop", "boxes", "--crop-margin", "nan"), None, "--crop-margin must be at least 0 and"),
        (("--crop", "boxes", "--crop-margin", "-0.1"), None, "--crop-margin must be"),
        (
            ("--split", "official_valid", "--valid-fraction", "0.2"),
            None,
            "--valid-fraction has no say in --split official_valid",
        ),
        (("--layout", "class_folders"), None, "holds no images in itself"),
    ],
)
def test_mistakes_get_one_sentence(root, tmp_path, img2keras, flags, spoil, expected):
    if spoil is not None:
        spoil(root)
    assert re.search(expected, img2keras(root, tmp_path / "data", *flags, ok=False))
    assert not (tmp_path / "data").exists()


def test_other_layouts_bring_no_boxes(root: Path, tmp_path: Path, img2keras):
    source = root / "images"
    message = img2keras(source, tmp_path / "data", "--crop", "boxes", ok=False)
    assert "the layout class_folders brings no boxes along" in message
    message = img2keras(source, tmp_path / "data", "--split", "official", ok=False)
    assert "class_folders brings no split along" in message


# Whole photographs of this size take long enough to cut that a run can be stopped meanwhile.
SLOW = ("--near-distance", "-1", "--crop", "boxes", "--crop-margin", "10")


def stop_after(words: str, root: Path, output: Path, number: int) -> tuple[int, str]:
    """Start a run, send it a signal when it has said these words; exit status, standard error."""
    running = subprocess.Popen(
        command("img2keras.py", "--source", root, "--output", output, *SLOW),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        preexec_fn=obey_ctrl_c,
    )
    said = b""
    while words.encode() not in said and running.poll() is None:
        said += running.stderr.read(1)
    running.send_signal(number)
    _, rest = running.communicate()
    return running.returncode, rest.decode()


def test_stopped_while_cropping_then_started_again(tmp_path: Path, img2keras):
    root = make_cub(tmp_path / "CUB_200_2011", per_class=12, size=(1200, 880))
    output = tmp_path / "data"
    status, errors = stop_after("cropping", root, output, signal.SIGINT)
    assert status == 130 and "stopped" in errors and "Traceback" not in errors
    assert not output.exists()
    status, _ = stop_after("placing images", root, output, signal.SIGKILL)
    assert status == -signal.SIGKILL
    with pytest.raises(UserError, match="has no manifest"):
        open_data_set(output)
    img2keras(root, output, *SLOW[2:])
    img2keras(root, tmp_path / "expected", *SLOW[2:])
    assert tree(output) == tree(tmp_path / "expected")
    assert len(list(output.glob("*/*/*.jpg"))) == 36
