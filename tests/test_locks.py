"""One working process a folder, and a sentence that says who it is."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finegrain.errors import UserError
from finegrain.locks import LOCK, folder_held

HOLDER = """
import sys
from pathlib import Path
from finegrain.locks import folder_held
sys.argv = ["froze_fine_tune.py", "--run", "runs/x"]
with folder_held(Path(FOLDER)):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.replace("FOLDER", repr(str(tmp_path / "x")))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as refused, folder_held(folder):
        pass
    return str(refused.value)


def test_who_holds_a_folder_is_said_and_stays_said(holder, tmp_path):
    for _ in range(2):
        sentence = refusal(tmp_path / "x")
        assert f"x is in use by process {holder.pid} (python froze_fine_tune.py" in sentence
        assert "since " in sentence and sentence.endswith("wait for it or stop it")
    holder.communicate("")
    assert not (tmp_path / "x").exists()


def test_a_killed_process_holds_nothing(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "x" / LOCK).exists()
    with folder_held(tmp_path / "x"):
        pass
    assert list((tmp_path / "x").iterdir()) == []


@pytest.mark.parametrize("note", ["", "{", "[1]", '{"host": 5}', '{"host": "h", "process": "p"}'])
def test_a_damaged_note_of_the_holder_does_not_matter(tmp_path, note):
    with folder_held(tmp_path):
        (tmp_path / LOCK).write_text(note)
        assert "is in use by" in refusal(tmp_path)


def test_folders_made_only_for_the_lock_go_again(tmp_path):
    with folder_held(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with folder_held(tmp_path / "a" / "b"):
        (tmp_path / "a" / "file").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    assert "cannot be written to" in refusal(tmp_path / "file" / "x")
