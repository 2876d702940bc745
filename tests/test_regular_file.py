"""Pipes, sockets and devices are refused at once, under whatever name."""

import os
import tracemalloc

import pytest
from special_files import make_special_files

from finegrain.datasets.gather import scan_image
from finegrain.datasets.layouts.annotation_file import annotation_files
from finegrain.datasets.layouts.cub_lists import read_id_list
from finegrain.decode import UnreadableImage, open_rgb
from finegrain.errors import UserError
from finegrain.regular_file import open_regular, read_regular
from finegrain.stores.row_store import DamagedStore, RowStore

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes"),
]


@pytest.fixture
def special(tmp_path):
    return [tmp_path / name for name in sorted(make_special_files(tmp_path))]


def test_regular_files_and_links_to_them_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "file") == read_regular(tmp_path / "link") == b"content"


def test_no_more_memory_is_set_aside_than_a_file_has_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    tracemalloc.start()
    with open_regular(tmp_path / "file") as file:
        assert file.read(3) == b"con" and file.read(1 << 30) == b"tent" and file.read() == b""
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_others_are_refused(special, tmp_path):
    for path in special:
        with pytest.raises(OSError, match="not a regular file|symbolic links"):
            open_regular(path)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


def test_a_pipe_that_takes_the_place_of_a_file_meanwhile(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    regular = os.stat(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(os, "stat", lambda path: regular)
    opened = os.open("/dev/null", os.O_RDONLY)
    os.close(opened)
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(tmp_path / "pipe")
    # The number is free again: nothing was left open.
    assert os.open("/dev/null", os.O_RDONLY) == opened
    os.close(opened)


def test_no_image_is_waited_for(special):
    for path in special:
        expected = "link" if path.stem == "loop" else "not a regular file"
        with pytest.raises(UnreadableImage, match=expected):
            open_rgb(path)
        assert expected in scan_image(path)


def test_nor_any_other_file(tmp_path):
    os.mkfifo(tmp_path / "train.json")
    assert annotation_files(tmp_path) == []
    os.mkfifo(tmp_path / "images.txt")
    with pytest.raises(UserError, match="images.txt cannot be read: not a regular file"):
        read_id_list(tmp_path, "images.txt")
    os.mkfifo(tmp_path / "store.h5")
    with pytest.raises(DamagedStore, match="not a regular file"):
        RowStore(tmp_path / "store.h5", {})
