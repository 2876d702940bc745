"""Files of the right syntax with something wrong in them, one place at a time."""

import copy
import json
from collections.abc import Iterator
from typing import Any

MARK = "@@here@@"
DEEP = "[" * 50_000 + "]" * 50_000
# What stands in the place of a value, as JSON.
VALUES = (
    "null",
    '"x"',
    "-1",
    "1.5",
    "true",
    "[]",
    "{}",
    "[[1]]",
    '{"a": null}',
    "1e400",
    "NaN",
    "1" + "0" * 400,
    '""',
    '"\\ud800"',
    DEEP,
)
WHOLE = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"x"',
    b"{}",
    b'{"a": 1, "a": 2}',
    b"\xff\xfe{}",
    b"[1, 1]",
    b'["a", null]',
    DEEP.encode(),
    b"9" * 5_000,
)


def json_mutants(content: Any) -> Iterator[tuple[str, bytes]]:
    """(what was done, the file's new content) for each place of a JSON; of lists the first."""
    for number, whole in enumerate(WHOLE):
        yield f"file {number}", whole
    for place in _places(content):
        for value in VALUES:
            text = json.dumps(_with(content, place, MARK)).replace(f'"{MARK}"', value)
            yield f"{place} = {value[:20]}", text.encode()
        yield f"{place} removed", json.dumps(_with(content, place, None, remove=True)).encode()
        if isinstance(place[-1], str):
            double = json.dumps(_with(content, place, MARK))
            double = double.replace(f'"{MARK}"', f"0, {json.dumps(place[-1])}: 1")
            yield f"{place} twice", double.encode()


def _places(content: Any, above: tuple = ()) -> Iterator[tuple]:
    keys = list(content) if isinstance(content, dict) else []
    if isinstance(content, list) and content:
        keys = [0]
    for key in keys:
        yield (*above, key)
        yield from _places(content[key], (*above, key))


def _with(content: Any, place: tuple, value: Any, remove: bool = False) -> Any:
    changed = copy.deepcopy(content)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if remove:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return changed
