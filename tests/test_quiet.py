"""What native libraries write to standard error."""

import os
import warnings

import pytest

from finegrain.quiet import damage_not_warned_of, stderr_aside


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


def test_a_damaged_checkpoint_is_not_warned_of_and_other_warnings_come_back(recwarn):
    with damage_not_warned_of():
        warnings.warn("Skipping nested container: no matching group found", stacklevel=1)
    assert not recwarn
    warnings.warn("something else", stacklevel=1)
    assert len(recwarn) == 1
