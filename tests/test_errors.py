"""What a command can do without is left out in one sentence."""

import errno

import pytest

from finegrain.errors import UserError, by_product
from finegrain.whole_files import written_whole


@pytest.mark.parametrize(
    "error,reason",
    [
        (UserError("the disk is full"), "the disk is full"),
        (RuntimeError("no font\nat line 3"), "RuntimeError: no font"),
        (AssertionError(), "AssertionError"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_one_sentence_and_on(error, reason, capfd):
    with by_product("model.png"):
        raise error
    assert capfd.readouterr() == (f"  notice    model.png is left out: {reason}\n", "")


def test_a_full_disk_is_a_notice_and_leaves_nothing(tmp_path, capfd):
    with by_product("history.png"), written_whole(tmp_path / "history.png") as file:
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "history.png is left out: the disk is full" in capfd.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_command_still_does(stop):
    with pytest.raises(stop), by_product("history.png"):
        raise stop
