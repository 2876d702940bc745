"""Making the environment: what is wrong with the machine is said in one sentence."""

import os
import stat
import subprocess

import pytest
from commands import REPOSITORY


def make(folder, *, path=None, **environment):
    """Source tools/environment.sh in a folder of its own and make an environment of nothing."""
    (folder / "requirements.txt").write_text("# nothing\n")
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "empty"\nversion = "0"\n[tool.setuptools]\npy-modules = []\n'
    )
    source = f'. "{REPOSITORY}/tools/environment.sh"'
    line = f"set -euo pipefail; {source}; make_environment requirements.txt"
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True,
        env={**os.environ, **environment, **({"PATH": path} if path else {})},
    )  # fmt: skip


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
