"""What libraries say besides, decoders and native ones too, stays off the screen."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from commands import REPOSITORY
from mutants import mutants, whole_images

from finegrain.quiet import damage_not_warned_of, stderr_aside

DECODE_ALL = """
import sys
from multiprocessing.pool import ThreadPool
from pathlib import Path
from finegrain.datasets.gather import scan_image

paths = sorted(Path(sys.argv[1]).rglob("*.*"))
with ThreadPool(4) as pool:
    scans = pool.map(scan_image, paths)
print(sum(isinstance(scan, str) for scan in scans), "of", len(scans))
"""


@pytest.fixture(scope="module")
def damaged(tmp_path_factory) -> Path:
    """Two classes of 400 damaged images in all, and a few whole ones."""
    folder = tmp_path_factory.mktemp("damaged")
    for label in "ab":
        (folder / label).mkdir()
        for number, (suffix, content) in enumerate(whole_images()):
            (folder / label / f"whole{number}.{suffix}").write_bytes(content)
    for number, (suffix, content) in enumerate(mutants(400, seed=11)):
        (folder / "ab"[number % 2] / f"{number}.{suffix}").write_bytes(content)
    return folder


def decode_all(damaged: Path, before: str = "", after: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", f"{before}\n{DECODE_ALL}\n{after}", damaged],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_decoding_says_nothing_and_nothing_else_is_silenced(damaged: Path):
    seen = "import os; os.write(2, b'seen'); print(' too', file=sys.stderr)"
    done = decode_all(damaged, after=seen)
    assert done.returncode == 0 and done.stderr == "seen too\n"
    unreadable, _, total = done.stdout.split()
    assert int(total) == 400 + 2 * len(whole_images()) and 100 < int(unreadable) < 400


def test_these_images_do_make_decoders_talk(damaged: Path):
    done = decode_all(
        damaged, "from finegrain import decode; decode.silence_decoders = lambda: None"
    )
    assert "UserWarning" in done.stderr and "Bad code word" in done.stderr


def test_img2keras_says_its_own_lines_only(damaged: Path, tmp_path: Path, script):
    done = script(
        "img2keras.py",
        "--source",
        damaged,
        "--output",
        tmp_path / "data",
        "--statistics",
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.strip()]
    own = ("reading images", "placing images", "measuring pixels")
    assert lines and all(line.startswith(own) for line in lines)


def test_chatter_is_not_shown(capfd):
    with stderr_aside():
        os.write(2, b"chatter")
    os.write(2, b"news")
    assert capfd.readouterr().err == "news"


def test_chatter_before_a_failure_is_shown(capfd):
    with pytest.raises(OSError), stderr_aside():
        os.write(2, b"what happened before")
        raise OSError
    assert capfd.readouterr().err == "what happened before"


def test_a_damaged_checkpoint_is_not_warned_of_and_other_warnings_come_back(recwarn):
    with damage_not_warned_of():
        warnings.warn("Skipping nested container: no matching group found", stacklevel=1)
    assert not recwarn
    warnings.warn("something else", stacklevel=1)
    assert len(recwarn) == 1
