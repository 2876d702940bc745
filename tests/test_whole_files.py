"""Partial files: those of killed processes go at the next start, those of living ones stay."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

from finegrain.errors import UserError
from finegrain.whole_files import partial_beside, remove_partials, written_whole

WRITER = """
import sys, time
from pathlib import Path
import h5py
from finegrain.whole_files import written_whole
with written_whole(Path(sys.argv[1])) as beside:
    with h5py.File(beside, "w") as file:
        file["rows"] = [1, 2, 3]
    print("under way", flush=True)
    sys.stdin.read()
"""


def start_writer(path: Path) -> subprocess.Popen:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout.readline() == "under way\n"
    return writer


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("next_start", ["of the same file", "of the folder"])
def test_a_killed_writers_partial_goes_at_the_next_start(tmp_path, next_start):
    target = tmp_path / "gap_ResNet50.h5"
    writer = start_writer(target)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert any("partial" in name for name in names(tmp_path))
    if next_start == "of the same file":
        with written_whole(target) as beside:
            beside.write_text("whole")
        assert names(tmp_path) == [target.name]
    else:
        remove_partials(tmp_path)
        assert names(tmp_path) == []


def test_a_living_writers_partial_stays_and_takes_its_place(tmp_path):
    target = tmp_path / "gap_ResNet50.h5"
    writer = start_writer(target)
    remove_partials(tmp_path)
    with written_whole(target) as beside:
        beside.write_text("meanwhile")
    assert target.read_text() == "meanwhile"
    writer.communicate("")
    assert writer.returncode == 0
    with h5py.File(target) as file:
        assert file["rows"][:].tolist() == [1, 2, 3]
    assert names(tmp_path) == [target.name]


def test_what_an_earlier_version_left_goes_and_other_names_stay(tmp_path):
    (tmp_path / ".ab12cd34.partial.pred.csv").touch()
    (tmp_path / ".ab12cd35.partial..ab12cd34.partial.pred.csv").touch()
    (tmp_path / ".ab12cd34.partial.other.csv").touch()
    (tmp_path / ".ab12cd34.partial.my.pred.csv").touch()
    (tmp_path / "a.partial.pred.csv").touch()
    with written_whole(tmp_path / "pred.csv") as beside:
        beside.touch()
    assert names(tmp_path) == [
        ".ab12cd34.partial.my.pred.csv",
        ".ab12cd34.partial.other.csv",
        "a.partial.pred.csv",
        "pred.csv",
    ]


@pytest.mark.parametrize(("hours", "stays"), [(1, True), (30, False)])
def test_another_machines_partial_goes_only_when_it_is_old(tmp_path, hours, stays):
    partial, lock = (tmp_path / f".ab12cd34.{kind}.pred.csv" for kind in ("partial", "lock"))
    partial.touch()
    lock.write_text(json.dumps({"host": "another machine", "process": 1}))
    then = time.time() - hours * 3600
    os.utime(lock, (then, then))
    remove_partials(tmp_path)
    assert partial.exists() == lock.exists() == stays


def test_a_folder_under_way_is_swept_like_a_file(tmp_path):
    left = tmp_path / ".ab12cd34.partial.exported"
    (left / "variables").mkdir(parents=True)
    with partial_beside(tmp_path / "exported") as beside:
        (beside / "variables").mkdir(parents=True)
        assert not left.exists()
        remove_partials(tmp_path)
        assert beside.exists()
    assert names(tmp_path) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "predict.txt"
    target.write_text("old")
    with pytest.raises(UserError, match="disk is full"), written_whole(target) as beside:
        beside.write_text("half")
        raise OSError(28, "No space left on device")
    assert target.read_text() == "old" and names(tmp_path) == ["predict.txt"]


def test_hdf5_that_meets_a_full_disk_as_it_closes_ends_in_a_sentence(tmp_path):
    full = pytest.raises(UserError, match="the disk is full: .*store.h5 could not be written")
    with full, written_whole(tmp_path / "store.h5"):
        raise RuntimeError("flush failed (file write failed: errno = 28, error message = ...)")
    with pytest.raises(RuntimeError, match="another"), written_whole(tmp_path / "store.h5"):
        raise RuntimeError("another")
    assert not list(tmp_path.iterdir())


def test_a_picture_that_a_full_disk_cuts_short_takes_no_place(tmp_path):
    """Limits on the size of files stand for a full disk: the write that meets them is cut short."""
    lines = """
import resource, sys
from functools import partial
from pathlib import Path
import numpy as np
from PIL import Image
from finegrain.errors import UserError
from finegrain.whole_files import write_encoded
noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    write_encoded(Path(sys.argv[1]), partial(Image.fromarray(noise).save, format="JPEG"))
except UserError as error:
    sys.exit(f"refused: {error}")
"""
    pytest.importorskip("resource")
    path = tmp_path / "noise.jpg"
    for limit, status in ((2000, 1), (100_000, 0)):
        words = [sys.executable, "-c", lines, str(path), str(limit)]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        assert ("refused: " in done.stderr) == bool(status)
        assert path.exists() == (status == 0)
