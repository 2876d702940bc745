"""FGVC, iNaturalist and COCO files: what is read from them, and what each mistake is called."""

import json
from pathlib import Path

import pytest

from finegrain.datasets.findings import left_out_lines
from finegrain.datasets.gather import read_records
from finegrain.datasets.layouts import find_layout
from finegrain.datasets.layouts.layout import Record, list_source
from finegrain.errors import UserError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

CATEGORIES = [{"id": 3, "name": "rose"}, {"id": 7, "name": "iris"}]
IMAGES = [{"id": n, "file_name": f"{n}.jpg"} for n in range(4)]
ANNOTATIONS = [{"id": n, "image_id": n, "category_id": (3, 7)[n % 2]} for n in range(4)]


def write(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """A data folder with the four images of IMAGES."""
    return make(tmp_path / "data", *(f"{n}.jpg" for n in range(4)))


def complete(**changes) -> dict:
    content = {"images": IMAGES, "annotations": ANNOTATIONS, "categories": CATEGORIES, **changes}
    return {key: value for key, value in content.items() if value is not None}


def records_of(source: Path) -> list[Record]:
    listing = list_source(source)
    layout = find_layout(listing)
    assert layout.name == "json_annotations"
    return read_records(listing, layout)


def found(source: Path, folder: Path) -> dict[str, tuple[str, str, str]]:
    return {
        record.path.relative_to(folder).as_posix(): (record.id, record.label, record.category_id)
        for record in records_of(source)
    }


def refused(source: Path) -> str:
    with pytest.raises(UserError) as caught:
        records_of(source)
    return str(caught.value)


EXPECTED = {
    "0.jpg": ("0", "rose", "3"),
    "1.jpg": ("1", "iris", "7"),
    "2.jpg": ("2", "rose", "3"),
    "3.jpg": ("3", "iris", "7"),
}


@pytest.mark.parametrize("named", ["the folder", "the file"])
def test_ids_names_and_files(four: Path, named: str):
    file = write(four / "train.json", complete())
    write(four / "test.json", {"images": IMAGES})
    assert found(four if named == "the folder" else file, four) == EXPECTED


def test_file_names_count_from_the_folder_named_like_the_json(tmp_path: Path):
    # As FGVC has it; the same names in test/ are other images.
    names = [f"{part}/{n}.jpg" for part in ("train", "test") for n in range(4)]
    make(tmp_path, *names)
    write(tmp_path / "train.json", complete())
    expected = {f"train/{name}": told for name, told in EXPECTED.items()}
    assert found(tmp_path, tmp_path) == expected


def test_coco_keeps_its_json_in_a_folder_of_its_own(tmp_path: Path):
    make(tmp_path, *(f"train2017/{n}.jpg" for n in range(4)), "val2017/0.jpg")
    boxes = [{**annotation, "bbox": [0, 0, 1, 1], "iscrowd": 0} for annotation in ANNOTATIONS]
    write(tmp_path / "annotations/instances_train2017.json", complete(annotations=boxes))
    write(tmp_path / "annotations/instances_val2017.json", complete())
    write(tmp_path / "annotations/captions_train2017.json", {"annotations": [{"image_id": 1}]})
    expected = {f"train2017/{name}": told for name, told in EXPECTED.items()}
    assert found(tmp_path, tmp_path) == expected
    assert found(tmp_path / "annotations/instances_train2017.json", tmp_path) == expected


def test_inaturalist_counts_from_the_data_folder(tmp_path: Path):
    names = [f"train_val2018/Aves/{n}.jpg" for n in range(4)]
    images = [{"id": n, "file_name": name} for n, name in enumerate(names)]
    make(tmp_path, *names)
    write(tmp_path / "train2018.json", complete(images=images))
    assert list(found(tmp_path, tmp_path)) == [*names[1::2], *names[0::2]]


@pytest.mark.parametrize("images", [None, [{"id": n} for n in range(4)]])
def test_without_file_names_images_stand_where_fgvc_has_them(tmp_path: Path, images):
    names = [f"train/category_{(4, 8)[n % 2]}/{n}.jpg" for n in range(4)]
    make(tmp_path, *names)
    write(tmp_path / "train.json", complete(images=images))
    told = found(tmp_path, tmp_path)
    assert {name: category for name, (_, _, category) in told.items()} == {
        name: ("3", "7")[n % 2] for n, name in enumerate(names)
    }


UNFIT_NAMES = {
    "F/A-18": "category 7 is called 'F/A-18', but it holds a slash",
    "": "category 7 is called '', but it is empty",
    "rose": "category 7 is called 'rose', but category 3 has it too",
    "x" * 300: f"category 7 is called '{'x' * 12}...{'x' * 13}', but it is longer than 255 bytes",
    "a\nb": "category 7 is called 'a\\nb', but it holds a sign that cannot be printed",
    7: "category 7 has no name that is a text",
    None: "category 7 has no name that is a text",
}


@pytest.mark.parametrize("name", UNFIT_NAMES)
def test_one_unfit_name_makes_all_classes_go_by_their_ids_and_is_told(four: Path, name):
    categories = [{"id": 3, "name": "rose"}, {"id": 7, "name": name}, {"id": 9, "name": "a/b"}]
    write(four / "train.json", complete(categories=categories))
    listing = list_source(four)
    records = read_records(listing, find_layout(listing))
    assert {record.label for record in records} == {"3", "7"}
    assert listing.notices == [
        "all 2 classes go by their category ids, since not every name in train.json serves: "
        + UNFIT_NAMES[name]
    ]


def test_three_unfit_names_are_told_of_many(four: Path):
    categories = [{"id": n, "name": "a/b"} for n in range(4)]
    annotations = [{"image_id": n, "category_id": n} for n in range(4)]
    write(four / "train.json", complete(categories=categories, annotations=annotations))
    listing = list_source(four)
    read_records(listing, find_layout(listing))
    (notice,) = listing.notices
    assert notice.count("is called") == 3 and notice.endswith(", and 1 more")


@pytest.mark.parametrize("categories", [None, [{"id": 3}, {"id": 7}]])
def test_where_there_are_no_names_ids_are_no_news(four: Path, categories):
    write(four / "train.json", complete(categories=categories))
    listing = list_source(four)
    records = read_records(listing, find_layout(listing))
    assert {record.label for record in records} == {"3", "7"} and listing.notices == []


def test_ids_may_be_text_and_need_not_be_of_one_kind(four: Path):
    annotations = [{"image_id": str(n), "category_id": "ab"[n % 2]} for n in range(4)]
    categories = [{"id": "a", "name": "rose"}, {"id": "b", "name": "iris"}]
    write(four / "train.json", complete(annotations=annotations, categories=categories))
    assert found(four, four)["1.jpg"] == ("1", "iris", "b")


def test_what_is_left_out_is_told(four: Path):
    write(
        four / "train.json",
        complete(
            images=[*IMAGES, {"id": 44, "file_name": "44.jpg"}],
            categories=[*CATEGORIES, {"id": 5, "name": "tulip"}],
        ),
    )
    listing = list_source(four)
    layout = find_layout(listing)
    assert left_out_lines(listing, layout, read_records(listing, layout)) == [
        "ignored  ids of images in train.json without an annotation: 1 (44)",
        "ignored  ids of categories in train.json without an image: 1 (5)",
    ]


def test_a_gap_in_the_numbers_is_told_where_nothing_lists_them(four: Path):
    of = (0, 1, 3, 3)
    annotations = [{"image_id": n, "category_id": of[n]} for n in range(4)]
    write(four / "train.json", complete(annotations=annotations, categories=None))
    listing = list_source(four)
    layout = find_layout(listing)
    assert {record.label for record in read_records(listing, layout)} == {"0", "1", "3"}
    assert ("ids of categories in train.json without an image", ["2"]) in listing.left_out


def test_several_annotations_of_an_image(four: Path):
    more = [{"image_id": 0, "category_id": 3}, {"image_id": 1, "category_id": 3}]
    write(four / "train.json", complete(annotations=[*ANNOTATIONS, *more]))
    problems = {record.id: record.problem for record in records_of(four)}
    assert problems == {
        "0": None,
        "1": "train.json gives it several categories: 7, 3",
        "2": None,
        "3": None,
    }


@pytest.mark.parametrize(
    "name",
    ["../secret.jpg", "/etc/passwd", "a/../../b.jpg", "..\\b.jpg", "C:\\b.jpg", "\\\\host\\b.jpg"],
)
def test_paths_that_leave_the_data_folder_are_refused(four: Path, name: str):
    make(four.parent, "secret.jpg", "b.jpg")
    images = [*IMAGES[:3], {"id": 3, "file_name": name}]
    file = write(four / "train.json", complete(images=images))
    message = refused(four)
    assert message.startswith(f"{file}: images[3] has the file name {name!r}, which leads out")


def test_an_id_does_not_lead_out_either(tmp_path: Path):
    annotations = [*ANNOTATIONS, {"image_id": "../../../x", "category_id": 3}]
    write(tmp_path / "train.json", complete(images=None, annotations=annotations))
    assert "the image ../../../x has the file name" in refused(tmp_path)


def test_links_in_the_data_folder_are_followed(four: Path, tmp_path: Path):
    make(tmp_path / "disk", *(f"{n}.jpg" for n in range(4)))
    linked = tmp_path / "linked"
    write(linked / "train.json", complete())
    (linked / "train").symlink_to(tmp_path / "disk")
    assert len(found(linked, linked)) == 4


def image(**entry) -> dict:
    return {"images": [*IMAGES, entry]}


def annotation(**entry) -> dict:
    return {"annotations": [*ANNOTATIONS, entry]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (annotation(image_id=9, category_id=3), "annotations[4] is for the image 9, which"),
        (annotation(image_id=0, category_id=4), "annotations[4] has the category_id 4, which"),
        (annotation(image_id=0), "annotations[4] has no category_id"),
        (annotation(category_id=3), "annotations[4] has no image_id"),
        (annotation(image_id=True, category_id=3), "annotations[4] has no image_id"),
        (annotation(image_id=0.5, category_id=3), "annotations[4] has no image_id"),
        (image(id=2, file_name="9.jpg"), "images[4] has the id 2, as images[2] has"),
        (image(id="2", file_name="9.jpg"), "images[4] has the id 2, as images[2] has"),
        (image(file_name="9.jpg"), "images[4] has no id"),
        (image(id=9, file_name=""), "images[4] has a file_name that is no text"),
        (image(id=9, file_name=7), "images[4] has a file_name that is no text"),
        ({"images": [*IMAGES, 5]}, "images[4] is no object"),
        ({"images": {"0": "0.jpg"}}, "`images` in"),
        ({"categories": [*CATEGORIES, {"id": 7}]}, "categories[2] has the id 7, as categories[1]"),
        ({"images": []}, "annotations[0] is for the image 0"),
        ({"annotations": []}, "has no annotations"),
    ],
)
def test_mistakes_name_the_file_and_the_entry(four: Path, changes: dict, expected: str):
    file = write(four / "train.json", complete(**changes))
    message = refused(file)
    assert expected in message and str(file) in message and "\n" not in message


def test_two_images_with_one_file(four: Path):
    images = [*IMAGES[:3], {"id": 3, "file_name": "1.jpg"}]
    write(four / "train.json", complete(images=images))
    assert "the images 1 and 3 have one file name, 1.jpg" in refused(four)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "is damaged or no JSON"),
        (json.dumps(complete())[:-9], "is damaged or no JSON"),
        ("[" * 100_000, "is damaged or no JSON"),
        ("[]", "must be an object"),
        ('{"annotations": "\udcff"}', "is damaged or no JSON"),
    ],
)
def test_broken_files(four: Path, content: str, expected: str):
    file = four / "train.json"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert expected in refused(file) and str(file) in refused(file)


def test_none_of_the_images_is_there(tmp_path: Path):
    (tmp_path / "train").mkdir()
    file = write(tmp_path / "train.json", complete())
    message = refused(tmp_path)
    assert f"none of the 4 images that {file} names is there, such as 0.jpg" in message
    assert f"{tmp_path / 'train'}" in message


def test_a_few_images_of_many(tmp_path: Path):
    images = [{"id": n, "file_name": f"{n}.jpg"} for n in range(1000)]
    annotations = [{"image_id": n, "category_id": (3, 7)[n % 2]} for n in range(1000)]
    write(tmp_path / "train.json", complete(images=images, annotations=annotations))
    make(tmp_path, "train/501.jpg", "train/503.jpg")
    assert {record.path.parent.name for record in records_of(tmp_path)} == {"train"}


def test_several_files_of_annotations(four: Path):
    write(four / "a.json", complete())
    write(four / "b.json", complete())
    assert f"name one: --source {four / 'a.json'}" in refused(four)


def test_other_json_files_change_nothing(tmp_path: Path):
    make(tmp_path, "a/1.jpg", "b/1.jpg", "empty.json")
    write(tmp_path / "labels.json", {"annotations": [], "shapes": []})
    assert find_layout(list_source(tmp_path)).name == "class_folders"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photographs of ../shared are absent")
def test_real_flowers():
    records = records_of(SHARED / "flowers")
    assert len(records) == 1020
    assert len({(record.label, record.category_id) for record in records}) == 17
    for record in records:
        # The numbers of the folders are the ids plus one.
        assert record.path.parent.name == f"category_{int(record.category_id) + 1}"
        assert record.path.stem == record.id and record.path.is_file()
