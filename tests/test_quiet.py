"""What native libraries write to standard error."""

import os

import pytest

from finegrain.quiet import stderr_aside


def test_chatter_is_not_shown(capfd):
    with stderr_aside():
        os.write(2, b"chatter")
    os.write(2, b"news")
    assert capfd.readouterr().err == "news"


def test_chatter_before_a_failure_is_shown(capfd):
    with pytest.raises(OSError), stderr_aside():
        os.write(2, b"what happened before")
        raise OSError
    assert capfd.readouterr().err == "what happened before"
