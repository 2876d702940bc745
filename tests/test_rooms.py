"""The rooms of the library: imports point one way, down the table of the documentation."""

import ast
import re
from pathlib import Path

import pytest
from commands import REPOSITORY

LIBRARY = REPOSITORY / "finegrain"
MOST_FILES = 25
ROW = re.compile(r"^\| `(\w+)` \| ", re.MULTILINE)


def rooms() -> list[str]:
    """The rooms in the order in which the documentation lists them."""
    page = (REPOSITORY / "docs" / "how-it-is-built.md").read_text(encoding="utf-8")
    table = page[page.index("| room of `finegrain/`") :]
    return ROW.findall(table[: table.index("\n\n")])


def folders() -> list[Path]:
    return [path.parent for path in LIBRARY.rglob("__init__.py")]


def room_of(parts: tuple[str, ...]) -> str | None:
    """The room of a module given by the parts of its path; None for those that all rooms use."""
    return parts[1] if len(parts) > 1 and (LIBRARY / parts[1]).is_dir() else None


def imported(path: Path) -> list[tuple[str, ...]]:
    """The modules of the library that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found += [tuple(name.split(".")) for name in names if name.split(".")[0] == "finegrain"]
    return found


def test_the_documentation_lists_every_room():
    there = {path.name for path in folders() if path.parent == LIBRARY}
    assert set(rooms()) == there and len(rooms()) == len(there)


@pytest.mark.parametrize("room", [None, *rooms()])
def test_a_room_imports_earlier_rooms_only(room):
    allowed = {None, *rooms()[: rooms().index(room) + 1]} if room else {None}
    files = LIBRARY.glob("*.py") if room is None else (LIBRARY / room).rglob("*.py")
    checked = 0
    for path in files:
        for module in imported(path):
            assert room_of(module) in allowed, f"{path} imports {'.'.join(module)}"
            checked += 1
    assert checked > 0


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_no_room_is_crowded(folder):
    assert len(list(folder.glob("*.py"))) <= MOST_FILES + 1, "with its __init__"
