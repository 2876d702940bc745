"""side_by_side/commands.py: several scripts at a time, and one that fails."""

import threading

import pytest
from commands import REPOSITORY

from finegrain.errors import UserError


@pytest.fixture
def commands(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    from side_by_side import commands

    return commands


def test_as_many_jobs_as_asked_for_run_at_once(commands):
    # Neither gets past it before the other is there.
    meeting = threading.Barrier(2, timeout=60)
    commands.side_by_side([meeting.wait, meeting.wait], at_once=2)


def test_a_job_that_fails_keeps_the_later_ones_from_beginning(commands):
    done = []

    def fail():
        raise UserError("single_model.py ended with status 2")

    with pytest.raises(UserError, match="ended with status 2"):
        commands.side_by_side([fail, *[lambda: done.append(1)] * 9], at_once=1)
    assert not done


def test_a_script_that_is_not_alone_has_one_thread_and_tells_of_a_mistake(
    commands, tmp_path, capfd
):
    script = tmp_path / "script.py"
    script.write_text("import os, sys; print(os.environ['OMP_NUM_THREADS']); sys.exit(3)")
    with pytest.raises(UserError, match="ended with status 3"):
        commands.call(str(script), is_alone=False)
    assert capfd.readouterr().out.splitlines()[1:] == ["1"]
