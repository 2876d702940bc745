"""How every command ends."""


def test_a_sentence_stays_on_its_line_whatever_a_name_holds(script_here):
    status, _, errors = script_here("tools/compare.py", "--run", "a\nb\x1b[31m")
    assert status == 2
    assert errors.startswith("error: a\\nb\\x1b[31m is no run folder")
    assert errors.count("\n") == 1
