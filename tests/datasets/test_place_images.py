"""A run may stop anywhere: the next one leaves nothing of it, and never touches foreign files."""

import errno
import itertools
import os
from pathlib import Path

import pytest

from finegrain.datasets import place_images as module
from finegrain.datasets.folder_change import ASIDE, FolderChange
from finegrain.datasets.gather import checksum
from finegrain.datasets.place_images import Placement, place_images
from finegrain.errors import UserError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.jpg").write_text(f"content {number}")
    return folder


def plan(source: Path, split: str = "train") -> list[Placement]:
    return [
        Placement(path, f"{split}/{path.stem}/{path.name}", checksum(path)[0])
        for path in sorted(source.iterdir())
    ]


def place(output: Path, placements: list[Placement], link: str = "hard") -> int:
    """Place images with the manifest, by which the next run knows them."""
    manifest = "\n".join(["path,sha1", *(f"{p.path},{p.sha1}" for p in placements)])
    return place_images(output, placements, {"manifest.csv": manifest.encode()}, link)


def files(folder: Path) -> set[str]:
    """All files but the manifest."""
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    return found - {"manifest.csv"}


def paths(placements: list[Placement]) -> set[str]:
    return {placement.path for placement in placements}


@pytest.mark.parametrize("link", ["hard", "symlink", "relative", "copy"])
def test_images_are_linked_as_asked(tmp_path: Path, source: Path, link: str):
    output = tmp_path / "output"
    assert place(output, plan(source), link) == 0
    assert files(output) == paths(plan(source))
    for placement in plan(source):
        target = output / placement.path
        assert target.read_bytes() == placement.source.read_bytes()
        assert target.is_symlink() == (link in ("symlink", "relative"))
        assert os.path.samefile(target, placement.source) == (link != "copy")


@pytest.mark.parametrize("second", ["hard", "symlink", "relative", "copy"])
@pytest.mark.parametrize("first", ["hard", "symlink", "relative", "copy"])
def test_links_can_be_changed(tmp_path: Path, source: Path, first: str, second: str):
    output = tmp_path / "output"
    for link in (first, second):
        place(output, plan(source), link)
    target = output / "train/0/0.jpg"
    assert target.is_symlink() == (second in ("symlink", "relative"))
    assert os.path.samefile(target, source / "0.jpg") == (second != "copy")
    assert files(output) == paths(plan(source))
    assert (source / "0.jpg").read_text() == "content 0"


def test_relative_links_stay_true_where_source_and_data_move_together(tmp_path: Path):
    here = tmp_path / "here"
    (here / "photos").mkdir(parents=True)
    for number in range(2):
        (here / "photos" / f"{number}.jpg").write_text(f"content {number}")
    photos = sorted((here / "photos").iterdir())
    placements = [Placement(photo, f"train/a/{photo.name}", photo.name) for photo in photos]
    place(here / "sets" / "output", placements, "relative")
    links = [here / "sets" / "output" / each.path for each in placements]
    inodes = [link.lstat().st_ino for link in links]
    # A second run finds them in their place.
    place(here / "sets" / "output", placements, "relative")
    assert [link.lstat().st_ino for link in links] == inodes
    here.rename(tmp_path / "there")
    for placement in placements:
        moved = tmp_path / "there" / "sets" / "output" / placement.path
        assert moved.is_symlink() and moved.read_text().startswith("content ")
        assert not moved.readlink().is_absolute()


def test_a_refused_link_becomes_a_copy(tmp_path: Path, source: Path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert place(tmp_path / "output", plan(source), "hard") == 6
    assert not os.path.samefile(tmp_path / "output/train/0/0.jpg", source / "0.jpg")


def test_a_link_leads_to_the_file_and_not_to_a_link(tmp_path: Path, source: Path):
    (source / "linked.jpg").symlink_to(source / "0.jpg")
    placement = Placement(source / "linked.jpg", "train/a/linked.jpg", "")
    for link in ("hard", "symlink"):
        output = tmp_path / link
        place(output, [placement], link)
        (output / "train/a/linked.jpg").resolve(strict=True)
        assert os.path.samefile(output / "train/a/linked.jpg", source / "0.jpg")
    assert not (tmp_path / "hard/train/a/linked.jpg").is_symlink()


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.mark.parametrize(
    ("of", "name", "after"),
    [(module, "_place", 0), (module, "_place", 3), (FolderChange, "_move", 0)]
    + [(FolderChange, "_move", after) for after in (3, 6, 9, 13)],
)
@pytest.mark.parametrize("link", ["hard", "copy"])
def test_killed_then_started_with_another_seed(
    tmp_path, source, monkeypatch, of, name, after, link
):
    output = tmp_path / "output"
    place(output, plan(source, "train"), link)
    original, count = getattr(of, name), itertools.count()

    def killed(*arguments):
        if next(count) == after:
            raise Killed
        return original(*arguments)

    monkeypatch.setattr(of, name, killed)
    with pytest.raises(Killed):
        place(output, plan(source, "valid"), link)
    monkeypatch.undo()
    # Until all images are there, nothing has changed.
    assert (output / ".unfinished.csv").exists() == (name == "_move")
    place(output, plan(source, "test"), link)
    assert files(output) == paths(plan(source, "test"))
    assert sorted(path.name for path in output.iterdir()) == ["manifest.csv", "test"]


def test_killed_in_the_middle_of_a_copy(tmp_path: Path, source: Path, monkeypatch):
    output = tmp_path / "output"

    def half(original, beside):
        Path(beside).write_text("half")
        raise Killed

    monkeypatch.setattr(module.shutil, "copy2", half)
    with pytest.raises(Killed):
        place(output, plan(source), "copy")
    monkeypatch.undo()
    assert not any(name.startswith("train") for name in files(output))
    place(output, plan(source), "copy")
    assert files(output) == paths(plan(source))


def test_foreign_files_stay(tmp_path: Path, source: Path):
    output = tmp_path / "output"
    place(output, plan(source), "hard")
    foreign = {"train/0/mine.jpg": "a", "notes.txt": "b", "train/9/other.jpg": "c"}
    for path, content in foreign.items():
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        (output / path).write_text(content)
    # The user put something else where an image of ours stood.
    (output / "train/1/1.jpg").unlink()
    (output / "train/1/1.jpg").write_text("d")
    place(output, plan(source, "valid"), "hard")
    left = files(output) - paths(plan(source, "valid"))
    assert left == {*foreign, "train/1/1.jpg"}
    assert (output / "train/1/1.jpg").read_text() == "d"


def test_a_foreign_file_in_the_way_is_refused_before_any_change(tmp_path: Path, source: Path):
    output = tmp_path / "output"
    place(output, plan(source, "valid"), "hard")
    (output / "train/3").mkdir(parents=True)
    (output / "train/3/3.jpg").write_text("mine")
    before = files(output)
    with pytest.raises(UserError, match="3.jpg stands in the way"):
        place(output, plan(source, "train"), "hard")
    assert files(output) == before


@pytest.mark.parametrize("name", ["manifest.csv", "classes.json", "duplicates.csv"])
def test_a_foreign_table_is_not_overwritten(tmp_path: Path, source: Path, name: str):
    output = tmp_path / "output"
    output.mkdir()
    (output / name).write_text("my own\ntable\n")
    with pytest.raises(UserError, match=f"{name} stands in the way"):
        place(output, plan(source), "hard")
    assert [path.name for path in output.iterdir()] == [name]
    assert (output / name).read_text() == "my own\ntable\n"


def test_an_edited_list_does_not_lead_out_of_the_folder(tmp_path: Path, source: Path):
    output = tmp_path / "output"
    output.mkdir()
    victim = tmp_path / "victim.jpg"
    victim.write_text("mine")
    sha1 = checksum(victim)[0]
    (output / "train").mkdir()
    beside = output / "victim.jpg"
    beside.write_text("mine")
    paths = ("train/../victim.jpg", "train/../../victim.jpg", str(victim), "../victim.jpg")
    (output / "manifest.csv").write_text("\n".join(["path,sha1", *(f"{p},{sha1}" for p in paths)]))
    place(output, plan(source), "hard")
    assert victim.read_text() == beside.read_text() == "mine"


def test_a_leftover_hard_link_does_not_become_a_way_into_the_source(tmp_path: Path, source: Path):
    output = tmp_path / "output"
    output.mkdir()
    os.link(source / "5.jpg", output / ASIDE)
    assert place(output, plan(source), "copy") == 0
    assert (source / "5.jpg").read_text() == "content 5"
    assert files(output) == paths(plan(source))


def test_a_full_disk_is_one_sentence_and_can_go_on(tmp_path: Path, source: Path, monkeypatch):
    output = tmp_path / "output"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.shutil, "copy2", full)
    with pytest.raises(UserError, match="the disk is full"):
        place(output, plan(source), "copy")
    monkeypatch.undo()
    place(output, plan(source), "copy")
    assert files(output) == paths(plan(source))
