"""One run with a model, and a page of it, for all tests of the report."""

from pathlib import Path

import pytest
from made_run import CLASSES, add_model, draw_data, make_run


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """A data set of 4 classes whose names hold what HTML takes for its own."""
    return draw_data(tmp_path_factory.mktemp("report") / "data")


@pytest.fixture(scope="session")
def run_with_model(drawn) -> Path:
    """A run on it, with an untrained model."""
    run = make_run(drawn.parent / "runs" / "first", drawn)
    add_model(run, len(CLASSES))
    return run


@pytest.fixture(scope="session")
def two_runs_page(run_with_model, drawn, script) -> Path:
    """The report of that run and of one without a model, as a user makes it."""
    other = make_run(drawn.parent / "runs" / "second", drawn, "softmax", seed=1, strength=5)
    page = drawn.parent / "two.html"
    done = script("tools/report.py", "--run", run_with_model, other, "--output", page)
    assert done.returncode == 0, done.stderr
    return page
