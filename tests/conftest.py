"""Fixtures that several test files share."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from commands import REPOSITORY, SHARED, command, obey_ctrl_c
from optional import is_installed


def pytest_addoption(parser) -> None:
    parser.addoption(
        "--require-optional",
        action="store_true",
        help="tests that need what is not installed fail instead of being skipped",
    )


def pytest_configure(config) -> None:
    """Let tests that run side by side compute with one thread each, in processes of theirs too.

    More threads than cores wait for one another.
    """
    if hasattr(config, "workerinput"):
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ.setdefault(name, "1")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item) -> None:
    """Skip a test whose optional programs or packages are absent, and say which."""
    for kind, is_required in (("optional", "--require-optional"), ("needs", "")):
        needed = [name for mark in item.iter_markers(kind) for name in mark.args]
        absent = [name for name in needed if not is_installed(name)]
        if absent:
            must = is_required and item.config.getoption(is_required)
            end = pytest.fail if must else pytest.skip
            end(f"not installed: {', '.join(absent)}")


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
            command(name, *arguments),
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=obey_ctrl_c,
            **options,
        )

    return start


@pytest.fixture(scope="session")
def drawn_data(tmp_path_factory, script) -> Path:
    """A small data set folder of four drawn breeds: 32 train, 4 valid and 4 test images or so."""
    folder = tmp_path_factory.mktemp("drawn")
    from finegrain.drawn.breed import demo_breeds
    from finegrain.drawn.collection import write_photos

    write_photos(folder / "photos", demo_breeds()[:4], per_class=10, seed=1)
    done = script(
        "img2keras.py",
        "--source",
        folder / "photos",
        "--output",
        folder / "data",
        "--valid-fraction",
        "0.2",
        "--test-fraction",
        "0.2",
    )
    assert done.returncode == 0, done.stderr
    return folder / "data"


@pytest.fixture
def script_here(monkeypatch, capfd):
    """Call a script in this process, which spares the seconds that Keras takes to load.

    Returns its exit status, standard output and standard error.
    """

    def call(name: str, *arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(REPOSITORY / name), run_name="__main__")
        except SystemExit as ended:
            status = ended.code
        return status, *capfd.readouterr()

    return call


@pytest.fixture(scope="session")
def make_features():
    """Write a file as `export_features.py` does, of numbers given rather than computed.

    Splits are `{split: (paths, labels, embeddings)}`.
    """
    import numpy as np

    from finegrain.stores.row_layout import RowKind
    from finegrain.stores.row_store import RowStore

    def make(
        path,
        classes,
        splits,
        data="d",
        view=None,
        group=None,
        category_ids=None,
        views="plain",
        unreadable=None,
    ):
        columns = {name: {} for name in ("path", "id", "label", "group", "view")}
        for split, (paths, labels, _) in splits.items():
            columns["path"][split] = list(paths)
            columns["id"][split] = [name.rpartition("/")[2].rpartition(".")[0] for name in paths]
            columns["label"][split] = np.array(labels, np.int64)
            nothing = np.zeros(len(paths), np.int64)
            columns["group"][split] = np.array((group or {}).get(split, nothing))
            columns["view"][split] = np.array((view or {}).get(split, nothing))
        columns["class"] = {"names": classes}
        if category_ids:
            columns["class"]["category_ids"] = category_ids
        for split, names in (unreadable or {}).items():
            columns.setdefault("unreadable", {})[split] = names
            columns.setdefault("unreadable_id", {})[split] = [name.split(".")[0] for name in names]
            columns.setdefault("unreadable_reason", {})[split] = ["empty file"] * len(names)
        width = next(iter(splits.values()))[2].shape[1]
        key = {"backbone": path.stem, "data": data, "views": {"kind": views}}
        counts = {split: len(paths) for split, (paths, _, _) in splits.items()}
        store = RowStore.create(
            path, key, {"embedding": RowKind((width,), "float32")}, counts, columns
        )
        for split, (_, _, embeddings) in splits.items():
            store.write(split, range(len(embeddings)), {"embedding": embeddings})
        store.close()
        return path

    return make
