"""The campaign itself: a short one finds nothing, and each of its verdicts can fail."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from commands import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tools"))

from hostile.child import Strike
from hostile.fingerprint import fingerprint, raw_digests
from hostile.kinds import KINDS, case_names
from hostile.mutants import encoded, mutant
from hostile.process import Command, Outcome, start
from hostile.verdict import changed_inputs, differences, faults_of, partial_files

# With the making of its world some 90 s.
SECONDS = 75


def test_a_short_campaign_finds_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "tools/campaign.py", "--seconds", str(SECONDS), "--seed", "11"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=580,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tried = dict(re.findall(r"^([a-z-]+) +(\d+) +0$", done.stdout, re.MULTILINE))
    assert set(tried) == {*KINDS, "all"}
    assert min(map(int, tried.values())) > 0
    assert not list(tmp_path.iterdir()), "the campaign leaves its work folder behind"


@pytest.fixture
def run_fake(tmp_path):
    """Run a script of the given body as the campaign runs the project's."""

    def run(body: str, limit: float = 30, strike: Strike | None = None, **options):
        (tmp_path / "fake.py").write_text(body)
        world = tmp_path / "world"
        world.mkdir(exist_ok=True)
        running = start(Command(str(tmp_path / "fake.py")), world, tmp_path / "log", strike)
        return running.wait(limit, most_gigabytes=options.get("most_gigabytes", 6.0))

    return run


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("1 / 0", "traceback: ZeroDivisionError"),
        ("import sys; sys.exit(3)", "exit status 3"),
        ("import sys; sys.exit(2)", "0 error sentences"),
        ("import sys; print('error: a\\nerror: b', file=sys.stderr); sys.exit(2)", "2 error sen"),
        ("import os; os.write(2, b'TIFFReadDirectory: Warning')", "noise on the terminal: TIFF"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import threading; threading.Thread(target=lambda: 1 / 0).start()", "traceback: Zero"),
    ],
)
def test_what_a_command_may_not_do_is_told(run_fake, body, fault):
    assert fault in "; ".join(faults_of(run_fake(body)))


@pytest.mark.parametrize(
    "body",
    [
        "print('done')",
        "import sys; print('error: there is no x; name another', file=sys.stderr); sys.exit(2)",
        "import sys; print('warning: few images', file=sys.stderr)",
        "import sys; print('\\nstopped; go on with: x', file=sys.stderr); sys.exit(130)",
        "from tqdm import tqdm; list(tqdm(range(3)))",
    ],
)
def test_what_a_command_may_do_is_no_fault(run_fake, body):
    assert faults_of(run_fake(body)) == []


def test_h5py_struck_by_ctrl_c_is_forgiven_and_nothing_else():
    struck = (
        'Traceback (most recent call last):\n  File "h5py/_objects.pyx", line 230, in h5py.close\n'
        "KeyError: 0\nException ignored in: 'h5py._objects.ObjectID.__dealloc__'\n"
        'Traceback (most recent call last):\n  File "h5py/_objects.pyx", line 230, in h5py.close\n'
        "KeyError: 0\n\n"
    )
    stopped = "stopped; what is finished is kept, go on with: python x.py\n"
    ours = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nKeyError: 0\n'
    command = Command("x.py")
    assert faults_of(Outcome(command, 130, "", struck + stopped, 1.0)) == []
    assert faults_of(Outcome(command, 1, "", struck, 1.0))
    assert faults_of(Outcome(command, 130, "", ours + stopped, 1.0))


def test_a_hang_and_a_glutton_are_ended_and_told(run_fake):
    hanging = run_fake("import time; time.sleep(60)", limit=0.5)
    assert "hangs" in faults_of(hanging)[0]
    glutton = run_fake(
        "x = bytearray(400_000_000); import time; time.sleep(60)", most_gigabytes=0.3
    )
    assert "memory" in faults_of(glutton)[0]


def test_a_strike_falls_at_its_file_operation(run_fake, tmp_path):
    body = "for number in range(5): open(str(number), 'w')"
    assert run_fake(body).operations == 5
    for name in "01234":
        (tmp_path / "world" / name).unlink()
    struck = run_fake(body, strike=Strike(3, signal.SIGKILL))
    assert struck.status == -signal.SIGKILL
    assert faults_of(struck, may=(-signal.SIGKILL,)) == []
    assert "SIGKILL" in faults_of(struck)[0]
    assert sorted(path.name for path in (tmp_path / "world").iterdir()) == ["0", "1"]
    # A Ctrl-C that nobody catches ends in a traceback, which is a fault.
    assert "traceback" in faults_of(run_fake(body, strike=Strike(2, signal.SIGINT)))[0]


def test_a_fork_leaves_its_parent_alone(run_fake):
    before = os.getcwd(), sys.argv, sys.stdout
    run_fake("import os, sys; os.chdir('/'); sys.argv = []; sys.stdout = None")
    assert (os.getcwd(), sys.argv, sys.stdout) == before


def test_leftovers_and_changed_inputs_are_told(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    (tmp_path / "own.txt").write_bytes(b"old")
    before = raw_digests(tmp_path)
    (tmp_path / "own.txt").write_bytes(b"new")
    assert partial_files(tmp_path) == []
    assert changed_inputs(tmp_path, before, ["own.txt"]) == []
    assert "own.txt" in changed_inputs(tmp_path, before, [])[0]
    (tmp_path / "photo.jpg").unlink()
    (tmp_path / ".ab.partial.pred.csv").touch()
    assert "photo.jpg" in changed_inputs(tmp_path, before, ["own.txt"])[0]
    assert "pred.csv" in partial_files(tmp_path)[0]


def test_a_lost_row_differs_and_other_seconds_do_not(tmp_path):
    import h5py

    def write(seconds: float, rows: int) -> dict[str, str]:
        with h5py.File(tmp_path / "features.h5", "w") as file:
            file["embedding/train"] = np.arange(rows)
        (tmp_path / "history.csv").write_text(f"epoch,seconds\n1,{seconds}\n")
        (tmp_path / "state.json").write_text(
            f'{{"history": [{{"epoch": 1, "seconds": {seconds}}}]}}'
        )
        return fingerprint(tmp_path)

    assert differences(write(1.5, 4), write(2.5, 4)) == []
    assert differences(write(1.5, 4), write(1.5, 3)) == ["different: features.h5"]
    assert differences({"a": "1"}, {"b": "1"}) == ["missing: a", "too many: b"]


def test_cases_follow_from_their_names():
    def some(seed):
        return [name for name, _ in zip(case_names(seed), range(100), strict=False)]

    assert some(3) == some(3) != some(4)
    assert {kind for kind, _ in some(3)} == set(KINDS)
    assert len(set(some(3))) == 100


def test_mutants_of_every_format_come_from_the_seed():
    from PIL import Image

    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8))
    for suffix in ("jpg", "png", "webp", "gif", "tif"):
        made = []
        for _ in range(2):
            rng = np.random.default_rng(5)
            whole = encoded(photo, suffix, rng)
            made.append((whole, mutant(whole, rng)))
        assert made[0] == made[1]
        assert made[0][0] != made[0][1]


def test_every_flag_of_every_command_is_found():
    from hostile.bad_values import flags_of

    flags = dict(flags_of("recipes/bird_fine_tune.py"))
    assert flags["image_size"] == flags["rotation"] == "number"
    assert flags["openvino"] == "switch" and flags["precision"] == "choice"
    assert flags["cache"] == "path" and flags["head"] == "text"
    assert dict(flags_of("tools/similar.py"))["images"] == "+path"


def test_a_case_that_is_none_is_refused(script):
    done = script("tools/campaign.py", "--case", "kills:x")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --case kills:x is no case")
