"""One served demo page for all tests that visit it."""

import pytest


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """Where the served page has its temporary folder."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="session")
def page(drawn_data, tmp_path_factory, start_script, kept):
    """The address of a served page."""
    from finished_runs import make_run
    from served_page import NAMES, served

    folder = tmp_path_factory.mktemp("runs") / "<b>multi"
    make_run(folder, drawn_data, classes=NAMES)
    with served(start_script, folder, kept) as address:
        yield address
