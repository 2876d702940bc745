"""img2keras.py as a user runs it."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import obey_ctrl_c
from PIL import Image
from special_files import make_special_files

from finegrain.datasets.manifest import open_data_set

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


def picture(seed: int, size: tuple[int, int] = (48, 36)) -> Image.Image:
    blobs = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize(size, Image.Resampling.BICUBIC)


def photographs(folder: Path, names: list[str], seed: int = 0) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed + number).save(path)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return photographs(
        tmp_path / "photos", [f"{c}_{n:02d}.jpg" for c in ("2", "10") for n in range(10)]
    )


def img2keras(source: Path, output: Path, *flags: str, ok: bool = True) -> str:
    """Run the command; returns what it printed, or its one sentence if it is to be refused."""
    command = [
        sys.executable,
        ROOT / "img2keras.py",
        "--source",
        source,
        "--output",
        output,
        *flags,
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        check=False,
        timeout=120,
    )
    if ok:
        assert done.returncode == 0, done.stderr
        return done.stdout
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return sentence


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_data_set_is_made_and_told(source: Path, tmp_path: Path):
    before = tree(source)
    output = tmp_path / "data set"
    printed = img2keras(source, output, "--test-fraction", "0.2")
    assert tree(source) == before
    assert "typeid_randhash (typeid_randhash.jpg), found" in printed
    assert printed.splitlines()[-2].startswith(f"  python single_model.py --data '{output}'")

    data = open_data_set(output)
    assert data.classes == ["2", "10"] and data.splits == ["train", "valid", "test"]
    assert [len(data.paths(split)) for split in data.splits] == [14, 2, 4]
    assert list(data.table.columns[:6]) == ["path", "label", "split", "width", "height", "sha1"]
    assert len(set(data.table["source"])) == 20
    for row in data.table.itertuples():
        assert row.path == f"{row.split}/{row.label}/{row.source}"
        assert os.path.samefile(output / row.path, source / row.source)
        assert (row.width, row.height) == (48, 36)


def test_twice_is_the_same_and_another_seed_moves_only_its_own(source: Path, tmp_path: Path):
    output = tmp_path / "data"
    img2keras(source, output)
    first = tree(output)
    img2keras(source, output)
    assert tree(output) == first
    (output / "train" / "2" / "mine.txt").write_text("mine")
    img2keras(source, output, "--seed", "1", "--link", "copy")
    moved = tree(output)
    assert moved.pop("train/2/mine.txt") == b"mine"
    assert set(moved) != set(first) and len(moved) == len(first)
    img2keras(source, output)
    (output / "train" / "2" / "mine.txt").unlink()
    assert tree(output) == first


def test_the_split_does_not_depend_on_names(source: Path, tmp_path: Path):
    renamed = tmp_path / "renamed"
    for path in source.iterdir():
        label, _, number = path.stem.partition("_")
        (renamed / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, renamed / label / f"{99 - int(number)}.jpg")
    tables = []
    for folder in (source, renamed):
        img2keras(folder, tmp_path / f"out-{folder.name}")
        rows = open_data_set(tmp_path / f"out-{folder.name}").table
        tables.append(dict(zip(rows["sha1"], rows["split"], strict=True)))
    assert tables[0] == tables[1]


def test_every_kind_of_file_is_read_or_left_out_with_its_reason(tmp_path: Path):
    photos = photographs(tmp_path / "photos", [f"{c}/{n}.png" for c in "ab" for n in range(4)])
    odd = photos / "a"
    picture(50).convert("CMYK").save(odd / "cmyk.jpg")
    picture(51).convert("P").save(odd / "renamed.jpg", format="GIF")
    picture(52).save(odd / "moving.gif", save_all=True, append_images=[picture(53)])
    Image.fromarray(np.asarray(picture(54).convert("L")).astype(np.uint16) * 256).save(
        odd / "16bit.png"
    )
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(55).save(odd / "turned.jpg", exif=exif)
    (odd / "empty.jpg").touch()
    (odd / "text.jpg").write_text("no image")
    picture(56, (300, 200)).save(odd / "cut.jpg")
    (odd / "cut.jpg").write_bytes((odd / "cut.jpg").read_bytes()[:2000])
    Image.new("1", (9_500, 9_500)).save(odd / "bomb.png")
    (odd / "gone.jpg").symlink_to(odd / "nowhere.jpg")
    (odd / "notes.txt").touch()

    printed = img2keras(photos, tmp_path / "data")
    unreadable = pd.read_csv(tmp_path / "data" / "unreadable.csv")
    reasons = dict(zip(unreadable["path"], unreadable["reason"], strict=True))
    assert reasons.keys() == {
        f"a/{n}" for n in ("bomb.png", "cut.jpg", "empty.jpg", "gone.jpg", "text.jpg")
    }
    assert reasons["a/bomb.png"] == "9500 x 9500 pixels, more than the limit of 89478485"
    assert "unreadable  5 images left out" in printed and "unreadable.csv" in printed
    assert "notes.txt" in printed
    rows = open_data_set(tmp_path / "data").table.set_index("source")
    assert len(rows) == 13
    assert (rows.at["a/turned.jpg", "width"], rows.at["a/turned.jpg", "height"]) == (36, 48)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_special_files_are_left_out_with_their_reason(tmp_path: Path):
    photos = photographs(tmp_path / "photos", [f"{c}/{n}.png" for c in "ab" for n in range(3)])
    names = make_special_files(photos / "a")
    os.mkfifo(photos / "labels.csv")
    os.mkfifo(photos / "train.json")
    img2keras(photos, tmp_path / "data")
    unreadable = pd.read_csv(tmp_path / "data" / "unreadable.csv")
    reasons = dict(zip(unreadable["path"], unreadable["reason"], strict=True))
    assert reasons.keys() == {f"a/{name}" for name in names}
    assert reasons.pop("a/loop.jpg") == os.strerror(errno.ELOOP).lower()
    assert set(reasons.values()) == {"not a regular file"}
    assert len(open_data_set(tmp_path / "data").table) == 6


def test_duplicates_stay_together_and_conflicts_are_reported(source: Path, tmp_path: Path):
    shutil.copy(source / "2_00.jpg", source / "2_copy.jpg")
    shutil.copy(source / "2_01.jpg", source / "10_wrong.jpg")
    picture(2, (96, 72)).save(source / "2_larger.jpg")
    for seed in ("0", "1", "2"):
        printed = img2keras(source, tmp_path / "data", "--seed", seed, "--valid-fraction", "0.3")
        table = pd.read_csv(tmp_path / "data" / "duplicates.csv", dtype=str)
        groups = {
            frozenset(rows["source"]): set(rows["kind"]) for _, rows in table.groupby("group")
        }
        assert groups == {
            frozenset(["2_00.jpg", "2_copy.jpg"]): {"exact"},
            frozenset(["2_01.jpg", "10_wrong.jpg"]): {"exact"},
            frozenset(["2_02.jpg", "2_larger.jpg"]): {"near"},
        }
        assert set(table.loc[table["conflict"] == "yes", "source"]) == {"2_01.jpg", "10_wrong.jpg"}
        splits = table["path"].str.split("/").str[0]
        assert (splits.groupby(table["group"]).nunique() == 1).all()
    assert "duplicates  6 images (4 exact, 2 near) in 3 groups" in printed
    assert "label conflicts  1 group" in printed
    img2keras(source, tmp_path / "exact", "--near-distance", "-1")
    assert len(pd.read_csv(tmp_path / "exact" / "duplicates.csv")) == 4


def test_names_in_any_script(tmp_path: Path):
    names = ["名前 犬", 'it\'s "a" cat', "-dash", "Ärger, viel"]
    photos = photographs(
        tmp_path / "-my photos", [f"{c}/-{n} 图.jpg" for c in names for n in range(3)]
    )
    printed = img2keras(photos, tmp_path / "my data")
    data = open_data_set(tmp_path / "my data")
    assert sorted(data.classes) == sorted(names)
    assert all(name in printed for name in names)
    assert len(data.paths("train")) == 8


def test_csv_layout_with_missing_and_unlabelled_images(tmp_path: Path):
    photos = photographs(tmp_path / "photos", [f"{n}.jpg" for n in range(8)])
    lines = [f"{n},{'xy'[n % 2]}" for n in range(6)]
    (photos / "labels.csv").write_text("\n".join(["id,label", *lines, "absent,x"]))
    printed = img2keras(photos, tmp_path / "data")
    assert "csv_labels" in printed
    assert "images without a class: 2 (6.jpg, 7.jpg)" in printed
    assert "absent: named in labels.csv, but there is no such image" in printed
    rows = open_data_set(tmp_path / "data").table
    assert dict(zip(rows["image_id"], rows["label"], strict=True)) == {
        str(n): "xy"[n % 2] for n in range(6)
    }


def remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink()


def empty(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (shutil.rmtree, "does not exist"),
        (lambda photos: remove(photos, "*"), "holds no images"),
        (lambda photos: remove(photos, "2_*"), "holds one class only (10)"),
        (lambda photos: remove(photos, "2_*[1-9].jpg"), "the class 2 has a single readable image"),
        (lambda photos: empty(photos, "2_*[1-9].jpg"), "(9 files cannot be read)"),
        (lambda photos: empty(photos, "*"), "the class 2 has no readable image"),
        (lambda photos: photographs(photos, ["hash.jpg"]), "the file name hash.jpg"),
    ],
)
def test_bad_sources_get_one_sentence(source: Path, tmp_path: Path, spoil, expected: str):
    spoil(source)
    assert expected in img2keras(source, tmp_path / "data", ok=False)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--valid-fraction", "0"], "--valid-fraction must be above 0"),
        (["--valid-fraction", "0.6", "--test-fraction", "0.4"], "leave nothing to train on"),
        (["--near-distance", "40"], "--near-distance must be"),
        (["--workers", "-1"], "--workers must be"),
        (["--layout", "birds"], "give --layout one of auto, json_annotations, cub, csv_labels"),
    ],
)
def test_bad_values_get_one_sentence(source: Path, tmp_path: Path, flags: list[str], expected: str):
    assert expected in img2keras(source, tmp_path / "data", *flags, ok=False)


def test_output_and_source_do_not_mix(source: Path, tmp_path: Path):
    before = tree(source)
    for output in (source, source / "data", tmp_path):
        assert "lie inside one another" in img2keras(source, output, ok=False)
    (tmp_path / "file").touch()
    assert "is a file" in img2keras(source, tmp_path / "file", ok=False)
    assert tree(source) == before


def test_a_failed_run_loses_nothing(source: Path, tmp_path: Path):
    img2keras(source, tmp_path / "data")
    first = tree(tmp_path / "data")
    for path in source.glob("2_0[1-9].jpg"):
        path.rename(path.with_suffix(".txt"))
    img2keras(source, tmp_path / "data", ok=False)
    assert tree(tmp_path / "data") == first


def test_json_of_annotations(tmp_path: Path):
    names = [f"category_{1 + n % 2}/{n}.jpg" for n in range(8)]
    root = photographs(tmp_path / "flowers", [f"train/{name}" for name in names])
    (root / "train" / names[4]).unlink()
    content = {
        "images": [{"id": 100 + n, "file_name": name} for n, name in enumerate(names)],
        "annotations": [{"image_id": 100 + n, "category_id": n % 2} for n in range(7)],
        "categories": [{"id": 0, "name": "rose"}, {"id": 1, "name": "iris"}, {"id": 5}],
    }
    (root / "train.json").write_text(json.dumps(content))
    for source in (root, root / "train.json"):
        printed = img2keras(source, tmp_path / "data")
        assert "json_annotations (annotations in a JSON), found" in printed
        assert "images in train.json without an annotation: 1 (107)" in printed
        assert "categories in train.json without an image: 1 (5)" in printed
        assert "train/category_1/4.jpg: no such file" in printed
        rows = open_data_set(tmp_path / "data").table.set_index("image_id")
        assert dict(zip(rows.index, rows["category_id"], strict=True)) == {
            "100": "0",
            "101": "1",
            "102": "0",
            "103": "1",
            "105": "1",
            "106": "0",
        }
        assert rows.at["103", "label"] == "iris"
        assert rows.at["103", "source"] == "train/category_2/3.jpg"

    assert "notice" not in printed
    content["categories"][0]["name"] = "rose/red"
    (root / "train.json").write_text(json.dumps(content))
    printed = img2keras(root, tmp_path / "data")
    assert "notice   all 2 classes go by their category ids" in printed
    assert "category 0 is called 'rose/red', but it holds a slash" in printed

    before = tree(tmp_path / "data")
    content["images"][3]["file_name"] = "../../secret.jpg"
    (root / "train.json").write_text(json.dumps(content))
    message = img2keras(root, tmp_path / "data", ok=False)
    assert "images[3]" in message and "leads out of the data folder" in message
    assert "lie inside one another" in img2keras(root / "train.json", root / "data", ok=False)
    assert tree(tmp_path / "data") == before


def test_json_with_one_file_name_in_several_folders(tmp_path: Path):
    names = [f"sequence{n}/frame.jpg" for n in range(8)]
    root = photographs(tmp_path / "frames", names)
    content = {
        "images": [{"id": 10 + n, "file_name": name} for n, name in enumerate(names)],
        "annotations": [{"image_id": 10 + n, "category_id": n % 2} for n in range(8)],
    }
    (root / "all.json").write_text(json.dumps(content))
    img2keras(root, tmp_path / "data")
    rows = open_data_set(tmp_path / "data").table
    for row in rows.itertuples():
        assert row.path == f"{row.split}/{row.label}/{row.image_id}.jpg"
        assert row.source == f"sequence{int(row.image_id) - 10}/frame.jpg"
        assert os.path.samefile(tmp_path / "data" / row.path, root / row.source)
    assert len(rows) == 8


def test_links_to_type_num_become_links_in_class_folders(tmp_path: Path):
    names = [f"{c}.{n}.jpg" for c in ("cat", "dog") for n in range(6)]
    photographs(tmp_path / "disk", names)
    (tmp_path / "train").mkdir()
    for name in names:
        (tmp_path / "train" / name).symlink_to(f"../disk/{name}")
    for link in ("symlink", "hard"):
        assert "type_num" in img2keras(tmp_path / "train", tmp_path / "data", "--link", link)
        for row in open_data_set(tmp_path / "data").table.itertuples():
            placed = tmp_path / "data" / row.path
            assert row.path == f"{row.split}/{row.label}/{row.label}.{row.image_id}.jpg"
            assert placed.is_symlink() == (link == "symlink")
            assert placed.samefile(tmp_path / "disk" / row.source)
    # The class folders made are a source as good as the files they were made from.
    img2keras(tmp_path / "train", tmp_path / "data", "--link", "symlink")
    printed = img2keras(tmp_path / "data" / "train", tmp_path / "again")
    assert "class_folders" in printed
    assert open_data_set(tmp_path / "again").classes == ["cat", "dog"]


def test_statistics_are_measured_and_outlive_no_other_split(source: Path, tmp_path: Path):
    output = tmp_path / "data"
    printed = img2keras(source, output, "--statistics", "--workers", "2")
    found = json.loads((output / "statistics.json").read_text())
    for split in ("train", "valid", "all"):
        paths = output.glob("*/*/*.jpg" if split == "all" else f"{split}/*/*.jpg")
        pixels = np.concatenate([np.asarray(Image.open(path)).reshape(-1, 3) for path in paths])
        assert found[split]["pixels"] == len(pixels)
        np.testing.assert_allclose(found[split]["mean"], pixels.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found[split]["std"], pixels.std(axis=0), rtol=1e-12)
    assert "images and" in printed and "million pixels a second" in printed
    img2keras(source, output)
    assert (output / "statistics.json").exists()
    assert "removed" in img2keras(source, output, "--seed", "1")
    assert not (output / "statistics.json").exists()


@pytest.fixture
def slow_command(tmp_path: Path) -> list:
    """A run that takes long enough to be stopped, into tmp_path / data."""
    source = photographs(tmp_path / "photos", [f"{c}_{n}.jpg" for c in "ab" for n in range(150)])
    output = tmp_path / "data"
    return [sys.executable, ROOT / "img2keras.py", "--source", source, "--output", output]


def test_killed_while_placing_then_started_again(slow_command: list, tmp_path: Path):
    aside = tmp_path / "data" / ".placing"
    for seed in range(3):
        running = subprocess.Popen(
            [*slow_command, "--seed", str(seed), "--link", "copy"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )
        while running.poll() is None and len(list(aside.rglob("*.jpg"))) < 100 * seed + 1:
            time.sleep(0.001)
        running.kill()
        running.wait()
    img2keras(tmp_path / "photos", tmp_path / "data")
    img2keras(tmp_path / "photos", tmp_path / "expected")
    assert tree(tmp_path / "data") == tree(tmp_path / "expected")


def test_ctrl_c_says_how_to_go_on(slow_command: list, tmp_path: Path):
    running = subprocess.Popen(
        slow_command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
        preexec_fn=obey_ctrl_c,
    )
    seen = b""
    while b"reading images" not in seen:
        seen += running.stderr.read(1)
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate()
    assert running.returncode == 130
    assert b"Traceback" not in rest
    assert b"stopped" in rest and str(tmp_path / "photos").encode() in rest
    assert not (tmp_path / "data").exists()


def test_ctrl_c_while_pixels_are_measured(slow_command: list, tmp_path: Path):
    running = subprocess.Popen(
        [*slow_command, "--statistics", "--workers", "3"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
        preexec_fn=obey_ctrl_c,
        start_new_session=True,
    )
    seen = b""
    while b"measuring pixels" not in seen:
        seen += running.stderr.read(1)
    # As a terminal does it: every process of the command hears it.
    os.killpg(running.pid, signal.SIGINT)
    _, rest = running.communicate()
    assert running.returncode == 130
    assert b"Traceback" not in rest and b"stopped" in rest
    assert len(open_data_set(tmp_path / "data").table) == 300
    assert not (tmp_path / "data" / "statistics.json").exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the photographs of ../shared are absent")
def test_real_flowers(tmp_path: Path):
    printed = img2keras(SHARED / "flowers" / "train", tmp_path / "data", "--link", "symlink")
    data = open_data_set(tmp_path / "data")
    assert [len(data.paths(split)) for split in data.splits] == [918, 102]
    assert np.bincount(data.labels("valid")).tolist() == [6] * 17
    assert "duplicates  140 images (0 exact, 140 near) in 70 groups" in printed
