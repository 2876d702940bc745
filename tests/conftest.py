"""Fixtures that several test files share."""

import subprocess
from pathlib import Path

import pytest
from commands import REPOSITORY, SHARED, command, obey_ctrl_c


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs and weights beside the repository; skips without it."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no folder shared/ with real photographs beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def script():
    """Call a script of the project as a user does, from the repository."""

    def call(name: str, *arguments, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            command(name, *arguments), cwd=REPOSITORY, capture_output=True, text=True, **options
        )

    return call


@pytest.fixture(scope="session")
def start_script():
    """Start a script of the project and give its process back at once."""

    def start(name: str, *arguments, **options) -> subprocess.Popen:
        return subprocess.Popen(
            command(name, *arguments), cwd=REPOSITORY, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=obey_ctrl_c, **options,
        )  # fmt: skip

    return start


@pytest.fixture(scope="session")
def drawn_data(tmp_path_factory, script) -> Path:
    """A small data set folder of four drawn breeds: 32 train, 4 valid and 4 test images or so."""
    folder = tmp_path_factory.mktemp("drawn")
    from finegrain.datasets.drawn import write_photos
    from finegrain.datasets.drawn_breed import demo_breeds

    write_photos(folder / "photos", demo_breeds()[:4], per_class=10, seed=1)
    done = script(
        "img2keras.py", "--source", folder / "photos", "--output", folder / "data",
        "--valid-fraction", "0.2", "--test-fraction", "0.2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "data"
