"""Layouts are found by themselves, are not fooled, and name what breaks them."""

from pathlib import Path

import pytest

from finegrain.datasets.class_names import check_class_name, class_order
from finegrain.datasets.layouts import find_layout, known_layouts
from finegrain.datasets.layouts.layout import list_source
from finegrain.errors import UserError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def make(folder: Path, *names: str) -> Path:
    """Files that are images by name only, which is all that a layout looks at."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def labels(folder: Path, layout: str = "auto") -> tuple[str, dict[str, str]]:
    listing = list_source(folder)
    found = find_layout(listing, layout)
    records = found.read(listing)
    return found.name, {r.path.relative_to(folder).as_posix(): r.label for r in records}


def refused(folder: Path, layout: str = "auto") -> str:
    with pytest.raises(UserError) as caught:
        labels(folder, layout)
    return str(caught.value)


def test_typeid_is_everything_before_the_last_underscore(tmp_path: Path):
    make(tmp_path, "0_ab.jpg", "golden_retriever_cd.jpg", "-x_1.JPG")
    assert labels(tmp_path) == (
        "typeid_randhash",
        {"0_ab.jpg": "0", "golden_retriever_cd.jpg": "golden_retriever", "-x_1.JPG": "-x"},
    )


def test_type_num_goes_before_typeid(tmp_path: Path):
    make(tmp_path, "cat.0.jpg", "big_dog.12.jpg")
    assert labels(tmp_path) == ("type_num", {"cat.0.jpg": "cat", "big_dog.12.jpg": "big_dog"})


def test_class_folders_with_loose_images_and_other_files(tmp_path: Path):
    make(
        tmp_path, "a/1.jpg", "b c/x_1.jpg", "b c/y.0.png", "loose_1.jpg", "classes.txt", "a/.h.jpg"
    )
    name, found = labels(tmp_path)
    assert (name, found) == (
        "class_folders",
        {"a/1.jpg": "a", "b c/x_1.jpg": "b c", "b c/y.0.png": "b c"},
    )
    assert {path.name for path in list_source(tmp_path).ignored} == {"classes.txt", ".h.jpg"}


@pytest.mark.parametrize("where", ["inside", "beside"])
def test_csv_names_images_with_and_without_suffix(tmp_path: Path, where: str):
    photos = make(tmp_path / "photos", "a.jpg", "b.png", "unlabelled.jpg")
    table = (photos if where == "inside" else tmp_path) / "labels.csv"
    table.write_text('\ufeffnote, Label ,id\nx,"cat, big",a\n,dog,b.png\n\n', encoding="utf-8")
    assert labels(photos) == ("csv_labels", {"a.jpg": "cat, big", "b.png": "dog"})


def test_csv_names_images_in_a_folder_of_the_source(tmp_path: Path):
    make(tmp_path, "images/007.jpg", "images/8.jpg")
    (tmp_path / "labels.csv").write_text("id,label\n007,NA\nimages/8.jpg,2\n")
    assert labels(tmp_path)[1] == {"images/007.jpg": "NA", "images/8.jpg": "2"}


def test_csv_row_without_image_is_a_problem_of_its_own(tmp_path: Path):
    make(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "labels.csv").write_text("id,label\na,x\nb,y\n../secret,y\n")
    listing = list_source(tmp_path)
    records = list(find_layout(listing).read(listing))
    assert [record.problem for record in records] == [
        None,
        None,
        "named in labels.csv, but there is no such image",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("id,label\na,x\na,y\n", "lines 2 and 3 of .* the same id a"),
        ("id,label\na,x\na.jpg,y\n", "lines 2 and 3 of .* the same id a.jpg"),
        ("id,label\na,x\nc,y\n", "the id c in line 3 of .* fits two images"),
        ("id,label\na,\nb,y\n", "line 2 of .* has no label"),
        ("id,label\n,x\nb,y\n", "line 2 of .* has no id"),
        ("id;label\na;x\n", "no CSV with the columns id,label"),
    ],
)
def test_csv_mistakes_name_the_line(tmp_path: Path, content: str, reason: str):
    make(tmp_path, "a.jpg", "b.jpg", "c.jpg", "c.png")
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(UserError, match=reason):
        labels(tmp_path, "csv_labels")


def test_csv_in_another_encoding_and_two_label_lists(tmp_path: Path):
    make(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "labels.csv").write_bytes(b"id,label\na,caf\xe9\n")
    assert "not a CSV in UTF-8" in refused(tmp_path)
    (tmp_path / "labels.csv").write_text("id,label\na,x\nb,y\n")
    (tmp_path / "more.csv").write_text("id,label\na,x\nb,y\n")
    assert "several CSVs" in refused(tmp_path)


@pytest.mark.parametrize("name", ["sample_submission.csv", "Submission.CSV"])
def test_a_submission_form_is_no_label_list(tmp_path: Path, name: str):
    photos = make(tmp_path / "train", "cat.1.jpg", "dog.2.jpg")
    for folder in (tmp_path, photos):
        (folder / name).write_text("id,label\ncat.1,0.5\ndog.2,0.5\n")
    assert labels(photos)[0] == "type_num"


def test_a_list_of_class_names_is_no_label_list(tmp_path: Path):
    make(tmp_path, *(f"{c}/{n}.jpg" for c in "12" for n in range(20)))
    (tmp_path / "names.csv").write_text("id,label\n1,beagle\n2,dingo\n")
    assert labels(tmp_path)[0] == "class_folders"


def test_parts_of_a_data_set_are_no_classes(tmp_path: Path):
    make(tmp_path, "train/0_a.jpg", "train/1_b.jpg", "test/c.jpg", "classes.txt")
    assert f"--source {tmp_path / 'train'}" in refused(tmp_path)
    assert f"--source {tmp_path / 'train'}" in refused(tmp_path, "class_folders")


def test_trains_may_be_a_class_among_others(tmp_path: Path):
    make(tmp_path, "train/a.jpg", "bus/b.jpg", "tram/c.jpg")
    assert set(labels(tmp_path)[1].values()) == {"train", "bus", "tram"}


def test_a_single_stray_name_is_named(tmp_path: Path):
    make(tmp_path, "0_a.jpg", "1_b.jpg", "2_c.jpg", "stray.jpg")
    assert "the file name stray.jpg in" in refused(tmp_path)


def test_broken_links(tmp_path: Path):
    make(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (tmp_path / "bird").symlink_to(tmp_path / "nowhere")
    assert "the class folder" in refused(tmp_path) and "bird" in refused(tmp_path)


def test_linked_class_folders_are_entered(tmp_path: Path):
    photos = make(tmp_path / "elsewhere", "1.jpg", "2.jpg")
    source = make(tmp_path / "source", "cat/1.jpg")
    (source / "dog").symlink_to(photos)
    assert labels(source)[1] == {"cat/1.jpg": "cat", "dog/1.jpg": "dog", "dog/2.jpg": "dog"}


def test_folders_of_links_as_the_dogs_against_cats_recipe_makes_them(tmp_path: Path):
    names = ("cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg")
    make(tmp_path / "train", *names)
    for name in names:
        link = tmp_path / "train2" / name.partition(".")[0] / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../train/{name}")
    (tmp_path / "linked").symlink_to("train")
    of = {f"{name[:3]}/{name}": name[:3] for name in names}
    assert labels(tmp_path / "train2") == ("class_folders", of)
    assert labels(tmp_path / "linked")[0] == "type_num"


def test_links_that_lead_round_in_a_circle(tmp_path: Path):
    make(tmp_path, "cat/1.jpg", "dog/2.jpg")
    for name in ("cat/round.jpg", "dog/round"):
        (tmp_path / name).symlink_to(tmp_path / name)
    assert labels(tmp_path)[1] == {
        "cat/1.jpg": "cat",
        "dog/2.jpg": "dog",
        "cat/round.jpg": "cat",
    }


def test_nothing_to_find(tmp_path: Path):
    assert "does not exist" in refused(tmp_path / "absent")
    assert "holds no images" in refused(make(tmp_path / "none", "a.txt"))
    assert "deeper folders" in refused(make(tmp_path / "deep", "a/b/1.jpg"))
    assert "nothing tells the classes" in refused(make(tmp_path / "plain", "1.jpg", "2.jpg"))
    assert "is a file" in refused(tmp_path / "none" / "a.txt")


def test_unknown_and_wrongly_forced_layouts(tmp_path: Path):
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    assert "auto, json_annotations, cub, csv_labels" in refused(tmp_path, "birds")
    for name in known_layouts().keys() - {"class_folders"}:
        assert refused(tmp_path, name)


def test_class_order_counts():
    assert class_order(["10", "2", "1", "a10", "a9", "2"]) == ["1", "2", "10", "a9", "a10"]


@pytest.mark.parametrize("name", ["-dash", "名前 犬", 'it\'s "a" cat', ".hidden", "a\u202fb", "%"])
def test_class_names_that_are_folders(name: str):
    check_class_name(name)


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "a\\b", "a\nb", "x" * 256, "\udcff"])
def test_class_names_that_cannot_be_folders(name: str):
    with pytest.raises(UserError, match="cannot be a folder"):
        check_class_name(name)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photographs of ../shared are absent")
def test_real_photographs():
    found = {name: labels(SHARED / name / "train") for name in ("dogs", "cats_dogs", "flowers")}
    assert {name: layout for name, (layout, _) in found.items()} == {
        "dogs": "typeid_randhash",
        "cats_dogs": "type_num",
        "flowers": "class_folders",
    }
    assert [len(set(of.values())) for _, of in found.values()] == [10, 2, 17]
    for name in ("dogs", "cats_dogs"):
        assert f"--source {SHARED / name / 'train'}" in refused(SHARED / name)
