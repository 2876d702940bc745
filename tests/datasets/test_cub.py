"""CUB-200-2011 folders: what is read from them, and what each mistake is called."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn_cub import BIRDS, SIZE, box_of, edit, make_cub, numbered, plain
from hypothesis import given
from hypothesis import strategies as st

from finegrain.datasets.crops import box_edges, place_boxes
from finegrain.datasets.findings import left_out_lines
from finegrain.datasets.gather import not_listed, read_records
from finegrain.datasets.layouts import find_layout
from finegrain.datasets.layouts.layout import Box, OfficialSplit, Record, list_source
from finegrain.datasets.official_split import keep_official_split, read_official_split
from finegrain.errors import UserError

NAMES = [numbered(number) for number in range(3)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_cub(tmp_path / "CUB_200_2011")


def read(source: Path, layout: str = "auto"):
    listing = list_source(source)
    layout = find_layout(listing, layout)
    assert layout.name == "cub"
    return listing, layout, read_records(listing, layout)


def refused(source: Path, part: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        listing, layout, records = read(source)
        if part is not None:
            getattr(layout, part)(listing, records)
    return str(caught.value)


def labels(records: list[Record]) -> dict[str, str]:
    return {record.id: record.label for record in records if not record.problem}


@pytest.mark.parametrize("on_disk", [numbered, plain])
@pytest.mark.parametrize("named", [numbered, plain])
@pytest.mark.parametrize("listed", [numbered, plain])
@pytest.mark.parametrize("where", ["CUB_200_2011", "."])
def test_every_mixture_of_prefixes_is_one_data_set(tmp_path: Path, where, listed, named, on_disk):
    root = make_cub(tmp_path / "CUB_200_2011", listed=listed, named=named, on_disk=on_disk)
    listing, layout, records = read(tmp_path / where)
    assert labels(records) == {str(i + 1): NAMES[i // 6] for i in range(18)}
    assert all(record.path.is_file() for record in records)
    assert records[0].path == root / "images" / on_disk(0) / f"{BIRDS[0]}_0000_1.jpg"
    assert left_out_lines(listing, layout, records) == [] == listing.not_listed
    split = layout.official_split(listing, records)
    assert split.part_of == {str(i + 1): "test" if i % 3 == 2 else "train" for i in range(18)}
    boxes = layout.boxes(listing, records)
    found = {i: (b.left, b.top, b.width, b.height) for i, b in boxes.items()}
    assert found == {str(i): box_of(i) for i in range(1, 19)}
    assert boxes["3"].where == f"line 3 of {root / 'bounding_boxes.txt'}"
    assert left_out_lines(listing, layout, records) == []


def test_a_copy_with_fewer_classes_on_disk(root: Path):
    shutil.rmtree(root / "images" / NAMES[1])
    listing, layout, records = read(root)
    assert set(labels(records).values()) == {NAMES[0], NAMES[2]}
    assert not any(record.problem for record in records)
    assert left_out_lines(listing, layout, records) == [
        f"ignored  classes in classes.txt without an image: 1 ({NAMES[1]})"
    ]


def test_a_copy_whose_image_list_was_cut_only(root: Path):
    lines = (root / "images.txt").read_text().splitlines(True)
    (root / "images.txt").write_text("".join(lines[:12]))
    shutil.rmtree(root / "images" / NAMES[2])
    listing, layout, records = read(root)
    assert len(records) == 12
    layout.official_split(listing, records), layout.boxes(listing, records)
    told = left_out_lines(listing, layout, records)
    assert told[0] == f"ignored  classes in classes.txt without an image: 1 ({NAMES[2]})"
    assert told[1:] == [
        f"ignored  ids in {name} that images.txt does not list: 6 (13, 14, 15, ...)"
        for name in ("image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt")
    ]


def test_lists_and_files_that_disagree_are_told_one_by_one(root: Path):
    gone = root / "images" / NAMES[0] / f"{BIRDS[0]}_0001_2.jpg"
    gone.rename(gone.with_name("stranger.jpg"))
    (root / "images" / NAMES[0] / "._stranger.jpg").touch()
    (root / "images" / NAMES[0] / "Thumbs.db").touch()
    listing, layout, records = read(root)
    assert [(r.id, r.path, r.problem) for r in records if r.problem] == [
        ("2", gone, "images.txt lists it, but it is not there")
    ]
    assert not_listed(listing) == [
        (f"images/{NAMES[0]}/stranger.jpg", "images.txt does not list it")
    ]
    assert len(labels(records)) == 17
    # What is not there needs no line anywhere.
    for name in ("train_test_split.txt", "bounding_boxes.txt"):
        edit(root / name, 2, None)
    assert len(layout.official_split(listing, records).part_of) == 17
    assert len(layout.boxes(listing, records)) == 17


def test_a_bare_name_that_two_folders_have(root: Path):
    other = root / "images" / f"007.{BIRDS[0]}"
    shutil.copytree(root / "images" / NAMES[0], other)
    _, _, records = read(root)
    assert all(other not in record.path.parents for record in records)
    edit(root / "images.txt", 1, f"1 {BIRDS[0]}/{BIRDS[0]}_0000_1.jpg")
    message = refused(root)
    assert f"line 1 of {root / 'images.txt'} fits two images" in message


def test_spaces_line_ends_and_marks_of_other_systems(root: Path):
    for path in root.glob("*.txt"):
        lines = ["", *path.read_text().splitlines(), "  "]
        path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    folder = root / "images" / NAMES[0]
    (folder / f"{BIRDS[0]}_0000_1.jpg").rename(folder / "a bird.jpg")
    edit(root / "images.txt", 2, f"1  {NAMES[0]}/a bird.jpg ")
    _, _, records = read(root)
    assert len(labels(records)) == 18 and folder / "a bird.jpg" in [r.path for r in records]


@pytest.mark.parametrize("name", ["images.txt", "classes.txt", "image_class_labels.txt"])
def test_a_missing_list_is_named(root: Path, name: str):
    (root / name).unlink()
    assert f"{root / name} is missing" in refused(root)


@pytest.mark.parametrize(
    ("name", "part", "way_out"),
    [
        ("train_test_split.txt", "official_split", "--split seeded"),
        ("bounding_boxes.txt", "boxes", "leave --crop boxes away"),
    ],
)
def test_lists_that_are_needed_on_request_only(root: Path, name: str, part: str, way_out: str):
    edit(root / name, 4, None)
    message = refused(root, part)
    assert f"the image 4 (line 4 of {root / 'images.txt'}) has no line in {root / name}" in message
    assert way_out in message
    (root / name).unlink()
    assert len(read(root)[2]) == 18
    message = refused(root, part)
    assert f"{root / name} is missing" in message and way_out in message


@pytest.mark.parametrize(
    ("name", "line", "new", "part", "expected"),
    [
        ("images.txt", 4, "4", None, "line 4 of {} is '4', not <image id> <folder/file>"),
        ("images.txt", 4, "3 x/a.jpg", None, "lines 3 and 4 of {} have one id, 3"),
        ("images.txt", 4, "4 ../../a.jpg", None, "line 4 of {} has the file name '../../a.jpg'"),
        ("images.txt", 4, "4 /etc/a.jpg", None, "leads out of the data folder"),
        (
            "images.txt",
            4,
            "4 " + numbered(0) + f"/{BIRDS[0]}_0000_1.jpg",
            None,
            "line 1 of {} and line 4 mean one image",
        ),
        ("classes.txt", 2, "2", None, "line 2 of {} is '2', not <class id> <class name>"),
        ("classes.txt", 2, "2 " + numbered(0), None, "lines 1 and 2 of {} have one class name"),
        ("classes.txt", 2, None, None, "gives the image 7 the class 2, which classes.txt does"),
        ("classes.txt", 2, "2 002.a/b", None, "'002.a/b' cannot be a folder"),
        ("image_class_labels.txt", 5, "5 9", None, "line 5 of {} gives the image 5 the class 9"),
        ("image_class_labels.txt", 5, "99 1", None, "the image 5 (line 5 of "),
        ("train_test_split.txt", 5, "5 2", "official_split", "line 5 of {} has '2', not <image"),
        ("train_test_split.txt", 5, "4 1", "official_split", "lines 4 and 5 of {} have one id, 4"),
        ("bounding_boxes.txt", 5, "5 1 2 3", "boxes", "line 5 of {} has '1 2 3', not <image id>"),
        ("bounding_boxes.txt", 5, "5 1 2 3 x", "boxes", "line 5 of {} has '1 2 3 x'"),
        ("bounding_boxes.txt", 5, "5 1 2 nan 4", "boxes", "line 5 of {} has '1 2 nan 4'"),
        ("bounding_boxes.txt", 5, "5 1 2 inf 4", "boxes", "line 5 of {} has '1 2 inf 4'"),
    ],
)
def test_damaged_lines_are_named(root: Path, name: str, line: int, new, part, expected: str):
    edit(root / name, line, new)
    message = refused(root, part)
    assert expected.format(root / name) in message
    assert "\n" not in message


def test_folders_that_are_no_use(root: Path):
    for name in ("images.txt", "classes.txt"):
        kept = (root / name).read_bytes()
        (root / name).write_bytes(b"\n")
        assert f"{root / name} is empty" in refused(root)
        (root / name).write_bytes(b"\xff\xfe1 x\n")
        assert f"{root / name} cannot be read: it is no text in UTF-8" in refused(root)
        (root / name).write_bytes(kept)
    shutil.copytree(root, root.parent / "CUB_small")
    assert "holds several CUB folders (CUB_200_2011, CUB_small)" in refused(root.parent)
    shutil.rmtree(root / "images")
    assert "none of the 18 images" in refused(root)


def test_forced_on_another_folder(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").touch()
    with pytest.raises(UserError, match="images.txt is missing"):
        read(tmp_path, "cub")
    # Two lists of such names beside class folders are a coincidence.
    for name in ("images.txt", "classes.txt"):
        (tmp_path / name).touch()
    assert find_layout(list_source(tmp_path)).name == "class_folders"


def table_of(parts: str, labels: str) -> tuple[pd.DataFrame, OfficialSplit]:
    ids = [str(n) for n in range(len(parts))]
    names = {"t": "train", "e": "test"}
    table = pd.DataFrame({"image_id": ids, "label": list(labels), "sha1": ids})
    split = {image: names[part] for image, part in zip(ids, parts, strict=True)}
    return table, OfficialSplit(Path("list.txt"), split)


def test_the_official_parts_stay_and_validation_comes_from_training():
    table, official = table_of("ttttteettttee", "aaaaaaabbbbbb")
    groups = [0, 0, 2, 3, 4, 0, 6, 7, 8, 9, 10, 11, 12]
    parts = keep_official_split(table, groups, official, "official", 0.3)
    assert [part == "test" for part in parts] == [
        official.part_of[i] == "test" for i in official.part_of
    ]
    assert parts[0] == parts[1]
    assert all("valid" in parts[a:b] and "train" in parts[a:b] for a, b in ((0, 5), (7, 11)))
    assert parts == keep_official_split(table, groups, official, "auto", 0.3)
    seen = {
        tuple(keep_official_split(table, groups, official, "official", 0.3, s)) for s in range(9)
    }
    assert len(seen) > 1
    as_papers = keep_official_split(table, groups, official, "official_valid", 0.3)
    assert as_papers == ["valid" if part == "test" else "train" for part in parts]


def test_a_class_without_training_images():
    table, official = table_of("tteee", "aabbb")
    with pytest.raises(UserError) as caught:
        keep_official_split(table, range(5), official, "official")
    assert "the class b has no training image, because list.txt gives all its 3" in str(
        caught.value
    )


def test_splits_that_a_source_cannot_give(root: Path, tmp_path: Path):
    listing, layout, records = read(root)
    with pytest.raises(UserError, match="--test-fraction 0.1 does not go with the official"):
        read_official_split(listing, layout, records, "auto", 0.1)
    assert read_official_split(listing, layout, records, "seeded", 0.1) is None
    flat = find_layout(list_source(root / "images"))
    assert flat.name == "class_folders"
    assert read_official_split(listing, flat, records, "auto", 0.1) is None
    with pytest.raises(UserError, match="class_folders brings no split along"):
        read_official_split(listing, flat, records, "official", 0.0)


numbers = st.floats(-80, 80).map(lambda value: round(value, 1))


@given(numbers, numbers, numbers, numbers, st.sampled_from([0.0, 0.1, 1.5]))
def test_edges_against_pixels_looked_at_one_by_one(left, top, width, height, margin):
    def touched(start: float, length: float, size: int) -> list[int]:
        low, high = start - margin * length, start + length + margin * length
        return [pixel for pixel in range(size) if pixel + 1 > low and pixel < high]

    def meets(start: float, length: float, size: int) -> bool:
        return length > 0 and start < size and start + length > 0

    edges = box_edges(Box(left, top, width, height, ""), SIZE, margin)
    if not (meets(left, width, SIZE[0]) and meets(top, height, SIZE[1])):
        assert edges is None
        return
    across, down = touched(left, width, SIZE[0]), touched(top, height, SIZE[1])
    assert edges == (across[0], down[0], across[-1] + 1, down[-1] + 1)


def test_boxes_that_stick_out_and_boxes_that_leave_nothing():
    boxes = {
        "in": Box(0, 0, 60.4, 44, "line 1"),
        "out": Box(-5, 10, 30, 20, "line 2"),
        "beyond": Box(60, 0, 30, 20, "line 3"),
        "flat": Box(10, 10, 30, 0, "line 4"),
        "turned": Box(40, 30, -10, -10, "line 5"),
    }
    table = pd.DataFrame({"image_id": list(boxes), "source": [f"{name}.jpg" for name in boxes]})
    table = table.assign(width=60, height=44)
    kept, nothing_left, clipped = place_boxes(table, boxes, 0.5)
    assert kept["image_id"].tolist() == ["in", "out"]
    assert kept["crop"].tolist() == [(0, 0, 60, 44), (0, 0, 40, 40)]
    assert kept.index.tolist() == [0, 1]
    assert clipped == ["out.jpg: line 2"]
    assert nothing_left == [
        (f"{name}.jpg", f"its box in line {n} leaves nothing of its 60 x 44 pixels")
        for name, n in (("beyond", 3), ("flat", 4), ("turned", 5))
    ]
    assert np.array_equal(table["width"], [60] * 5)
