"""Making the environment: what is wrong with the machine is said in one sentence."""

import os
import shutil
import stat
import subprocess

import pytest
from commands import REPOSITORY


def make(folder, *flags, path=None, **environment):
    """Source tools/environment.sh in a folder of its own and make an environment of nothing."""
    (folder / "requirements.txt").write_text("# nothing\n")
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "empty"\nversion = "0"\n[tool.setuptools]\npy-modules = []\n'
    )
    source = f'. "{REPOSITORY}/tools/environment.sh"'
    line = f"set -euo pipefail; {source}; make_environment {' '.join(flags)} requirements.txt"
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **environment, **({"PATH": path} if path else {})},
    )


def fake(folder, name, script):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755 | stat.S_IXUSR)
    return folder / name


@pytest.mark.parametrize("version", ["3.9.18", "3.14.0", "2.7.18"])
def test_a_python_too_old_or_too_new_is_named(tmp_path, version):
    python = fake(tmp_path / "bin", "python", f'[ "$1" = -V ] && echo "Python {version}"; exit 1')
    done = make(tmp_path, PYTHON=str(python))
    assert done.returncode == 2
    assert f"Python {version}" in done.stderr and "3.10 to 3.13" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_python_without_venv_is_named(tmp_path):
    script = 'case "$2" in *ensurepip*) exit 1;; esac; [ "$1" != -V ] || echo Python 3.11.2'
    done = make(tmp_path, PYTHON=str(fake(tmp_path / "bin", "python", script)))
    assert done.returncode == 2
    assert "Python 3.11.2 has no venv module; install it" in done.stderr


def test_a_full_disk_is_named_before_anything_is_installed(tmp_path):
    fake(tmp_path / "bin", "df", "printf 'Filesystem\\nx 1 1 300000 1%% /\\n'")
    done = make(tmp_path, path=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert done.returncode == 2
    assert "4 GB" in done.stderr and "only 300 MB are free" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_second_call_reuses_the_environment(tmp_path):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    fake(tmp_path / ".venv/bin", "python", "echo called; exit 1")
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    sums = subprocess.run(["cksum"], input="# nothing\n", capture_output=True, text=True).stdout
    (tmp_path / ".venv/installed-requirements").write_text(sums)
    done = make(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def listing_python(tmp_path):
    """A Python in .venv that lists what it is called with, a line a call."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    fake(tmp_path / ".venv/bin", "python", f'echo "$@" >> {tmp_path}/calls')
    return fake(tmp_path / "bin", "python", "exit 0")


def test_other_requirements_are_installed_into_the_same_environment(tmp_path, listing_python):
    for _ in range(2):
        done = make(tmp_path, PYTHON=str(listing_python))
        assert done.returncode == 0, done.stderr
    first, second = (tmp_path / "calls").read_text().splitlines()
    assert first.endswith("-r requirements.txt") and "--upgrade" not in first
    assert second.endswith("--editable .")


def test_the_latest_versions_replace_installed_ones(tmp_path, listing_python):
    done = make(tmp_path, "--latest", PYTHON=str(listing_python))
    assert done.returncode == 0, done.stderr
    first = (tmp_path / "calls").read_text().splitlines()[0]
    assert first.endswith("--upgrade --upgrade-strategy eager -r requirements.txt")


def demo(*arguments):
    line = ["bash", REPOSITORY / "demo.sh", *arguments]
    return subprocess.run(line, capture_output=True, text=True)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--newest"], "there is no option --newest; ./demo.sh takes --latest"),
        (["a", "b", "c"], "give two folders at most"),
        ([str(REPOSITORY / "docs"), "no-such-tests"], "there is no folder no-such-tests"),
        (["--latest", "no-such-folder"], "there is no folder no-such-folder"),
    ],
)
def test_the_demo_takes_a_folder_and_one_option(arguments, said):
    done = demo(*arguments)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1


def test_the_demo_with_test_photographs_keeps_none_of_its_own_and_predicts_those(tmp_path):
    project, photos, test = (tmp_path / name for name in ("project", "photos", "unlabelled"))
    for folder in (photos, test, project / "tools", project / ".venv" / "bin"):
        folder.mkdir(parents=True)
    for name in ("demo.sh", "tools/environment.sh", "requirements.lock"):
        shutil.copy(REPOSITORY / name, project / name)
    count = ["bash", "-c", "echo $(cat requirements.lock | cksum)"]
    stamp = subprocess.run(count, cwd=project, capture_output=True, text=True).stdout
    (project / ".venv" / "installed-requirements").write_text(stamp)
    python = project / ".venv" / "bin" / "python"
    # Notes what is asked for, and makes the file that the demo shows in the end.
    python.write_text(
        '#!/usr/bin/env bash\necho "$*" >> calls\n'
        "mkdir -p demo/photos-unlabelled && echo rows > demo/photos-unlabelled/predict.txt\n"
    )
    python.chmod(0o755)
    line = ["bash", str(project / "demo.sh"), "photos", "unlabelled"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls = (project / "calls").read_text().splitlines()
    assert calls[0] == (
        f"img2keras.py --source {photos} --output demo/photos-unlabelled/data "
        "--valid-fraction 0.15 --test-fraction 0"
    )
    submissions = [call for call in calls if "_test.py" in call]
    assert len(submissions) == 3
    assert all(f"--images {test} " in call for call in submissions)
