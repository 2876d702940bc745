"""A run may stop anywhere: the next one leaves nothing of it, and never touches foreign files."""

import errno
import os
from pathlib import Path

import pytest

from finegrain.datasets import place_images as module
from finegrain.datasets.place_images import Placement, finish, place_images
from finegrain.datasets.scan import checksum
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


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


def paths(placements: list[Placement]) -> set[str]:
    return {placement.path for placement in placements}


@pytest.mark.parametrize("link", ["hard", "symlink", "copy"])
def test_images_are_linked_as_asked(tmp_path: Path, source: Path, link: str):
    output = tmp_path / "output"
    assert place_images(output, plan(source), link) == 0
    finish(output)
    assert files(output) == paths(plan(source))
    for placement in plan(source):
        target = output / placement.path
        assert target.read_bytes() == placement.source.read_bytes()
        assert target.is_symlink() == (link == "symlink")
        assert os.path.samefile(target, placement.source) == (link != "copy")


@pytest.mark.parametrize("second", ["hard", "symlink", "copy"])
@pytest.mark.parametrize("first", ["hard", "symlink", "copy"])
def test_links_can_be_changed(tmp_path: Path, source: Path, first: str, second: str):
    output = tmp_path / "output"
    for link in (first, second):
        place_images(output, plan(source), link)
    finish(output)
    target = output / "train/0/0.jpg"
    assert target.is_symlink() == (second == "symlink")
    assert os.path.samefile(target, source / "0.jpg") == (second != "copy")
    assert files(output) == paths(plan(source))
    assert (source / "0.jpg").read_text() == "content 0"


def test_a_refused_link_becomes_a_copy(tmp_path: Path, source: Path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert place_images(tmp_path / "output", plan(source), "hard") == 6
    assert not os.path.samefile(tmp_path / "output/train/0/0.jpg", source / "0.jpg")


def test_a_link_leads_to_the_file_and_not_to_a_link(tmp_path: Path, source: Path):
    (source / "linked.jpg").symlink_to(source / "0.jpg")
    placement = Placement(source / "linked.jpg", "train/a/linked.jpg", "")
    for link in ("hard", "symlink"):
        output = tmp_path / link
        place_images(output, [placement], link)
        (output / "train/a/linked.jpg").resolve(strict=True)
        assert os.path.samefile(output / "train/a/linked.jpg", source / "0.jpg")
    assert not (tmp_path / "hard/train/a/linked.jpg").is_symlink()


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.mark.parametrize("after", range(7))
@pytest.mark.parametrize("link", ["hard", "copy"])
def test_killed_then_started_with_another_seed(tmp_path, source, monkeypatch, after, link):
    output = tmp_path / "output"
    place_images(output, plan(source, "train"), link)
    # The first run ended before finish(); the second is killed after some of its images.
    place, placed = module._place, []

    def killed(*arguments):
        if len(placed) == after:
            raise Killed
        placed.append(arguments)
        return place(*arguments)

    monkeypatch.setattr(module, "_place", killed)
    try:
        place_images(output, plan(source, "valid"), link)
    except Killed:
        assert after < 6
    monkeypatch.undo()
    place_images(output, plan(source, "test"), link)
    finish(output)
    assert files(output) == paths(plan(source, "test"))
    assert sorted(path.name for path in output.iterdir()) == ["test"]


def test_killed_in_the_middle_of_a_copy(tmp_path: Path, source: Path, monkeypatch):
    output = tmp_path / "output"

    def half(original, beside):
        Path(beside).write_text("half")
        raise Killed

    monkeypatch.setattr(module.shutil, "copy2", half)
    with pytest.raises(Killed):
        place_images(output, plan(source), "copy")
    monkeypatch.undo()
    assert not any(name.startswith("train") for name in files(output))
    place_images(output, plan(source), "copy")
    finish(output)
    assert files(output) == paths(plan(source))


def test_foreign_files_stay(tmp_path: Path, source: Path):
    output = tmp_path / "output"
    place_images(output, plan(source), "hard")
    foreign = {"train/0/mine.jpg": "a", "notes.txt": "b", "train/9/other.jpg": "c"}
    for path, content in foreign.items():
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        (output / path).write_text(content)
    # The user put something else where an image of ours stood.
    (output / "train/1/1.jpg").unlink()
    (output / "train/1/1.jpg").write_text("d")
    place_images(output, plan(source, "valid"), "hard")
    finish(output)
    left = files(output) - paths(plan(source, "valid"))
    assert left == {*foreign, "train/1/1.jpg"}
    assert (output / "train/1/1.jpg").read_text() == "d"


def test_a_foreign_file_in_the_way_is_refused_before_any_change(tmp_path: Path, source: Path):
    output = tmp_path / "output"
    place_images(output, plan(source, "valid"), "hard")
    finish(output)
    (output / "train/3").mkdir(parents=True)
    (output / "train/3/3.jpg").write_text("mine")
    before = files(output)
    with pytest.raises(UserError, match="3.jpg stands in the way"):
        place_images(output, plan(source, "train"), "hard")
    assert files(output) == before


@pytest.mark.parametrize("name", ["manifest.csv", "classes.json", "duplicates.csv"])
def test_a_foreign_table_is_not_overwritten(tmp_path: Path, source: Path, name: str):
    output = tmp_path / "output"
    output.mkdir()
    (output / name).write_text("my own\ntable\n")
    with pytest.raises(UserError, match=f"{name} stands in the way"):
        place_images(output, plan(source), "hard")
    assert files(output) == {name}


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
    place_images(output, plan(source), "hard")
    assert victim.read_text() == beside.read_text() == "mine"


def test_a_leftover_hard_link_does_not_become_a_way_into_the_source(tmp_path: Path, source: Path):
    output = tmp_path / "output"
    output.mkdir()
    os.link(source / "5.jpg", output / module.HALF_PLACED)
    assert place_images(output, plan(source), "copy") == 0
    finish(output)
    assert (source / "5.jpg").read_text() == "content 5"
    assert files(output) == paths(plan(source))


def test_a_full_disk_is_one_sentence_and_can_go_on(tmp_path: Path, source: Path, monkeypatch):
    output = tmp_path / "output"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.shutil, "copy2", full)
    with pytest.raises(UserError, match="the disk is full"):
        place_images(output, plan(source), "copy")
    monkeypatch.undo()
    place_images(output, plan(source), "copy")
    finish(output)
    assert files(output) == paths(plan(source))
