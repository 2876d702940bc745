"""A disk that is full at whatever moment: the data set is the earlier one or the new one."""

import csv
import errno
import hashlib
import io
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from finegrain.datasets import place_images as module
from finegrain.datasets.crops import crop_jpeg
from finegrain.datasets.gather import checksum
from finegrain.datasets.manifest import open_data_set
from finegrain.datasets.place_images import Placement, place_images
from finegrain.errors import UserError

EDGES = (2, 2, 20, 18)
TAKES_SPACE = [(os, "link"), (os, "mkdir"), (os, "fsync"), (shutil, "copy2"), (Path, "write_bytes")]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photographs")
    paths = [folder / f"{number}.jpg" for number in range(4)]
    for number, path in enumerate(paths):
        Image.effect_noise((32, 24), 40 + number).convert("RGB").save(path)
    return paths


def make(output: Path, photographs: list[Path], kind: str, valid: int) -> str:
    """Make a data set of two classes with one image for validation; its digest."""
    placements, rows = [], io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(("path", "label", "split", "width", "height", "sha1"))
    for number, path in enumerate(photographs):
        split, label = "valid" if number == valid else "train", "ab"[number % 2]
        sha1, crop = checksum(path)[0], None
        if kind == "crop":
            content = crop_jpeg(path, EDGES)
            crop = EDGES
            sha1 = hashlib.sha1(content).hexdigest()
        placement = Placement(path, f"{split}/{label}/{path.name}", sha1, crop, 700)
        placements.append(placement)
        writer.writerow((placement.path, label, split, 18, 16, sha1))
    tables = {"classes.json": b'["a", "b"]', "manifest.csv": rows.getvalue().encode()}
    place_images(output, placements, tables, "copy" if kind == "copy" else "hard")
    return open_data_set(output).digest


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def on_full_disk(operation, count, at, stays_full, failed):
    """An operation of the system that finds the disk full at number `at` of all counted."""

    def full(*arguments, **options):
        number = next(count)
        if number == at or (stays_full and number > at):
            failed.append(number)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return operation(*arguments, **options)

    return full


@pytest.mark.parametrize(("kind", "stays_full"), [("hard", False), ("copy", True), ("crop", False)])
def test_it_fills_up_at_any_operation(tmp_path, photographs, monkeypatch, kind, stays_full):
    # Waiting for the disk is what takes long here.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    before = make(tmp_path / "before", photographs, kind, valid=0)
    after = make(tmp_path / "after", photographs, kind, valid=1)
    # Where only one operation fails it may be any; a disk that stays full still renames.
    operations = TAKES_SPACE + ([] if stays_full else [(os, "replace")])
    for at in itertools.count():
        output, count, failed = tmp_path / f"{at}", itertools.count(), []
        make(output, photographs, kind, valid=0)
        with monkeypatch.context() as patched:
            for owner, name in operations:
                full = on_full_disk(getattr(owner, name), count, at, stays_full, failed)
                patched.setattr(owner, name, full)
            try:
                make(output, photographs, kind, valid=1)
            except UserError as error:
                assert "disk is full" in str(error)
        expected = {before: "before", after: "after"}[open_data_set(output).digest]
        assert everything(output) == everything(tmp_path / expected)
        assert make(output, photographs, kind, valid=1) == after
        assert everything(output) == everything(tmp_path / "after")
        if not failed:
            break
    assert at > 5


def test_copies_without_room_are_refused_with_both_sizes(tmp_path, photographs, monkeypatch):
    output = tmp_path / "data"
    before = make(output, photographs, "copy", valid=0)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=999))
    with pytest.raises(UserError, match=r"need 1\.4 kB and its disk has 999 bytes left"):
        make(output, photographs, "copy", valid=1)
    assert open_data_set(output).digest == before
    assert not (output / ".placing").exists()


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A file system of its own of 600 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    words = ["-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *words], capture_output=True).returncode:
        pytest.skip("a file system may not be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("left", [0, 20_000])
def test_a_real_full_disk_leaves_the_data_set_as_it_was(small_disk, script_here, tmp_path, left):
    for number in range(40):
        picture = Image.effect_noise((48, 36), 30 + number).convert("RGB")
        picture.save(tmp_path / f"{'ab'[number % 2]}_{number}.jpg")
    source = tmp_path / "photos"
    source.mkdir()
    for path in tmp_path.glob("*.jpg"):
        path.rename(source / path.name)
    output = small_disk / "data"
    words = ("img2keras.py", "--source", source, "--output", output, "--link", "copy")
    assert script_here(*words)[0] == 0
    before, held = open_data_set(output).digest, everything(output)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - left))
    status, _, errors = script_here(*words, "--seed", "1", "--valid-fraction", "0.9")
    assert status == 2 and "Traceback" not in errors
    assert "error: " in errors and ("disk" in errors or "No space left" in errors)
    assert open_data_set(output).digest == before
    assert everything(output) == held
    filler.unlink()
    status, _, errors = script_here(*words, "--seed", "1", "--valid-fraction", "0.9")
    assert status == 0, errors
    assert open_data_set(output).digest != before
    classes = json.loads((output / "classes.json").read_text())
    assert classes == ["a", "b"] and not (output / ".placing").exists()
