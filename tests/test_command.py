"""How every command ends."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
from commands import REPOSITORY, obey_ctrl_c

from finegrain.command import run_command


@dataclass
class Nothing:
    """A command without flags."""


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["command.py"])


def test_a_sentence_stays_on_its_line_whatever_a_name_holds(script_here):
    status, _, errors = script_here("tools/compare.py", "--run", "a\nb\x1b[31m")
    assert status == 2
    assert errors.startswith("error: a\\nb\\x1b[31m is no run folder")
    assert errors.count("\n") == 1


def test_what_the_system_will_not_do_is_told_and_other_faults_are_not_hidden(tmp_path, capsys):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)

    def ended(main):
        with pytest.raises(SystemExit) as caught:
            run_command(main, Nothing)
        return caught.value.code, capsys.readouterr().err

    status, errors = ended(lambda _: loop.open())
    assert status == 2
    assert errors.startswith(f"error: {loop} cannot be used (") and errors.count("\n") == 1
    with pytest.raises(FileNotFoundError):
        run_command(lambda _: (tmp_path / "absent").open(), Nothing)
    with pytest.raises(OSError, match="of our own making"):
        run_command(_fail, Nothing)


def _fail(_):
    raise OSError("of our own making")


WITHOUT_KERAS = """
import runpy, sys
# An import of either now fails.
sys.modules["keras"] = sys.modules["tensorflow"] = None
for script in sys.argv[1:]:
    runpy.run_path(script, run_name="imported")
import finegrain.models.bird_models
"""


def test_what_a_command_reads_its_flags_with_loads_no_keras():
    """Which takes seconds, and lines of TensorFlow on the terminal."""
    scripts = [*REPOSITORY.glob("*.py"), *REPOSITORY.glob("recipes/*.py")]
    scripts += REPOSITORY.glob("tools/*.py")
    assert len(scripts) > 15
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_KERAS, *map(str, scripts)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tools'}"},
    )
    assert done.returncode == 0, done.stderr


COMMAND = """
import atexit, os, signal, sys, time, weakref
from dataclasses import dataclass
from finegrain.command import run_command

@dataclass
class Nothing:
    "A command without flags."

sys.argv = ["command.py"]
"""
AT_THE_END = """
# As libraries clear away what they made.
atexit.register(os.kill, os.getpid(), signal.SIGINT)
run_command(lambda _: print("done"), Nothing)
"""
UNRAISABLE = """
def main(settings):
    # What a weak reference calls cannot raise, so Python would print this Ctrl-C and go on.
    thing = Nothing()
    watching = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
    time.sleep(60)
    print("went on")

run_command(main, Nothing)
"""
SWALLOWED = """
def main(settings):
    try:
        signal.raise_signal(signal.SIGINT)
    except:
        pass
    time.sleep(60)
    print("went on")

run_command(main, Nothing)
"""
MADE_ANOTHER = """
def main(settings):
    try:
        signal.raise_signal(signal.SIGINT)
    except:
        raise RuntimeError("returned a result with an exception set")

run_command(main, Nothing)
"""


TIDIES_UP = """
def main(settings):
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        time.sleep(6)
        print("tidied up", flush=True)

run_command(main, Nothing)
"""


def ended(source: str) -> subprocess.CompletedProcess:
    """What a command did that was started so that it obeys Ctrl-C."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND + source],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=obey_ctrl_c,
    )


@pytest.mark.parametrize("source", [UNRAISABLE, SWALLOWED, MADE_ANOTHER])
def test_ctrl_c_ends_a_command_whatever_libraries_make_of_it(source):
    done = ended(source)
    assert done.returncode == 130 and done.stdout == ""
    assert "stopped;" in done.stderr
    for word in ("Exception ignored", "Traceback"):
        assert word not in done.stderr


def test_what_tidies_up_after_ctrl_c_is_not_interrupted_by_it():
    done = ended(TIDIES_UP)
    assert (done.returncode, done.stdout) == (130, "tidied up\n")


def test_ctrl_c_while_flags_are_read_ends_like_any_other(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tyro.cli", interrupted)
    with pytest.raises(SystemExit) as caught:
        run_command(_fail, Nothing)
    assert caught.value.code == 130 and "go on with" in capsys.readouterr().err


def test_ctrl_c_while_libraries_clear_away_leaves_no_traceback():
    done = ended(AT_THE_END)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@dataclass
class WithRecipes:
    """A command whose recipes set defaults."""

    folder: str
    recipe: str = "slow"
    rate: float = 1.0
    steps: int = 5

    @classmethod
    def recipes(cls):
        return {"slow": {}, "fast": {"rate": 9.0, "steps": 2}}


@pytest.mark.parametrize(
    "words,rate,steps",
    [
        ("--folder a", 1.0, 5),
        ("--folder a --recipe slow", 1.0, 5),
        ("--folder a --recipe fast", 9.0, 2),
        ("--recipe=fast --folder a --steps 7", 9.0, 7),
        ("--steps 7 --folder a --recipe fast", 9.0, 7),
    ],
)
def test_a_recipe_sets_what_is_not_given(words, rate, steps, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["command.py", *words.split()])
    found = []
    run_command(found.append, WithRecipes)
    assert (found[0].folder, found[0].rate, found[0].steps) == ("a", rate, steps)


def test_what_a_recipe_leaves_open_is_still_wanted(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["command.py", "--recipe", "fast"])
    with pytest.raises(SystemExit):
        run_command(print, WithRecipes)
    assert "--folder" in capsys.readouterr().err
