"""Files of a run, a data set, a store or an export, changed by someone else."""

import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from hostile.case import Case
from hostile.mutants import mutant
from hostile.scenarios import Scenario, scenarios, servers
from hostile.verdict import changed_inputs, faults_of, partial_files
from hostile.world import World

FOLDERS = ("data", "runs/multi", "runs/single", "runs/cache", "features", "market", "test")
SUFFIXES = (".json", ".csv", ".h5", ".keras")
# Written for people, or read only by the training that made them: these come less often.
SELDOM_READ = ("history.csv", "unreadable.csv", "duplicates.csv", ".weights.h5")
SELDOM = 0.25
NESTING = 50_000
# Seconds after which a command hangs, and after which one that serves is stopped by Ctrl-C.
LIMIT, PATIENCE = 120.0, 20.0
WRONG = (
    None,
    True,
    -1,
    0,
    1e308,
    2**70,
    "",
    "x",
    "../..",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    float("nan"),
    "\ud800",
    [1, 2, 3],
    "0",
)


def attack(world: World, rng: np.random.Generator) -> Case:
    """Change one file and call a command that reads it."""
    files = targets(world.base)
    weights = np.array([SELDOM if path.endswith(SELDOM_READ) else 1.0 for path in files])
    path = files[rng.choice(len(files), p=weights / weights.sum())]
    known = [*scenarios(), *servers()]
    readers = [each for each in known if each.can_run(world.base) and each.reads(path)]
    scenario = readers[rng.integers(len(readers))]
    world.reset()
    told = tamper(world.here / path, rng)
    case = Case(f"{scenario.command}; {path} {told}")
    patience = PATIENCE if scenario.serves else 0.0
    outcome = world.run(scenario.command, LIMIT, patience=patience, even_silent=True)
    case.add(faults_of(outcome), outcome)
    case.add(partial_files(world.here), outcome)
    case.add(_changed(world, scenario, path), outcome)
    return case


def targets(base: Path) -> list[str]:
    """The files worth tampering with that some command reads."""
    paths = [
        file.relative_to(base).as_posix()
        for folder in FOLDERS
        for file in sorted((base / folder).rglob("*"))
        if file.suffix in SUFFIXES
    ]
    return [path for path in paths if any(each.reads(path) for each in scenarios())]


def _changed(world: World, scenario: Scenario, path: str) -> list[str]:
    """Faults: another file than the tampered one changed."""
    others = {name: content for name, content in world.before.items() if name != path}
    return changed_inputs(world.here, others, scenario.owns)


def tamper(file: Path, rng: np.random.Generator) -> str:
    """Change a file in one of the ways that suit it; says which."""
    ways = [_bytes_changed, _cut_short, _emptied, _made_a_folder, _removed]
    special = {
        ".json": [_leaf_changed] * 8 + [_nested],
        ".h5": [_rows_taken, _flattened] * 3,
        ".keras": [_of_another] * 2 + [_inside_changed] * 5,
        ".csv": [_cells_changed] * 5,
    }
    ways += special.get(file.suffix, [])
    return ways[rng.integers(len(ways))](file, rng)


def _bytes_changed(file: Path, rng: np.random.Generator) -> str:
    file.write_bytes(mutant(file.read_bytes(), rng))
    return "has changed bytes"


def _cut_short(file: Path, rng: np.random.Generator) -> str:
    content = file.read_bytes()
    length = int(rng.integers(len(content)))
    file.write_bytes(content[:length])
    return f"ends after {length} of {len(content)} bytes"


def _emptied(file: Path, rng: np.random.Generator) -> str:
    file.write_bytes(b"")
    return "is empty"


def _made_a_folder(file: Path, rng: np.random.Generator) -> str:
    file.unlink()
    file.mkdir()
    return "is a folder"


def _removed(file: Path, rng: np.random.Generator) -> str:
    file.unlink()
    return "is gone"


def _inside_changed(file: Path, rng: np.random.Generator) -> str:
    """Change one of the parts that a model.keras is packed of."""
    unpacked = file.with_name("unpacked")
    with zipfile.ZipFile(file) as packed:
        packed.extractall(unpacked)
        names = packed.namelist()
    name = names[rng.integers(len(names))]
    told = tamper(unpacked / name, rng)
    with zipfile.ZipFile(file, "w") as packed:
        for each in sorted(unpacked.rglob("*")):
            packed.write(each, each.relative_to(unpacked))
    shutil.rmtree(unpacked)
    return f"holds a {name} that {told}"


def _leaf_changed(file: Path, rng: np.random.Generator) -> str:
    content = json.loads(file.read_text())
    places = list(_places(content))
    if not places:
        file.write_text(json.dumps(WRONG[rng.integers(len(WRONG))]))
        return "holds another value"
    holder, key, way = places[rng.integers(len(places))]
    if rng.random() < 0.15:
        del holder[key]
        told = f"lacks {way}"
    else:
        value = WRONG[rng.integers(len(WRONG))]
        holder[key] = value
        told = f"has {way} = {value!r}"
    file.write_text(json.dumps(content))
    return told


def _places(value: object, way: str = "") -> Iterator[tuple]:
    """(holder, key, way to it) of every value below, containers too."""
    keys: Iterable = ()
    if isinstance(value, dict | list):
        keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key, f"{way}/{key}"
        yield from _places(value[key], f"{way}/{key}")


def _nested(file: Path, rng: np.random.Generator) -> str:
    opening, closing = ("[", "]") if rng.random() < 0.5 else ('{"a":', "}")
    inside = "1" if opening != "[" else ""
    file.write_text(opening * NESTING + inside + closing * NESTING)
    return f"is nested {NESTING:,} deep"


def _cells_changed(file: Path, rng: np.random.Generator) -> str:
    lines = file.read_text().splitlines()
    row = int(rng.integers(len(lines)))
    cells = lines[row].split(",")
    place = int(rng.integers(len(cells)))
    if rng.random() < 0.2:
        del cells[place]
        told = "is gone"
    else:
        values = ("", "nan", "-1", "x", "../../x", "1e308", '"', "\0", cells[place] * 2, "train")
        cells[place] = values[rng.integers(len(values))]
        told = f"is {cells[place]!r}"
    lines[row] = ",".join(cells)
    file.write_text("\n".join(lines) + "\n")
    return f"row {row}, cell {place} {told}"


def _datasets(opened: h5py.File) -> list[str]:
    names: list[str] = []
    opened.visit(names.append)
    return [name for name in names if isinstance(opened[name], h5py.Dataset)]


def _rows_taken(file: Path, rng: np.random.Generator) -> str:
    return _replace(file, rng, lambda values: values[: len(values) // 2], "has half its rows")


def _flattened(file: Path, rng: np.random.Generator) -> str:
    return _replace(file, rng, lambda values: values.reshape(-1), "is flat")


def _replace(file: Path, rng: np.random.Generator, change, told: str) -> str:
    with h5py.File(file, "r+") as opened:
        names = [name for name in _datasets(opened) if opened[name].ndim]
        if not names:
            return "is as it was"
        name = names[rng.integers(len(names))]
        values, attributes = opened[name][()], dict(opened[name].attrs)
        kind = opened[name].dtype
        del opened[name]
        opened.create_dataset(name, data=change(values), dtype=kind).attrs.update(attributes)
    return f": {name} {told}"


def _of_another(file: Path, rng: np.random.Generator) -> str:
    runs = [run for run in sorted(file.parent.parent.glob("*/model.keras")) if run != file]
    if not runs:
        return "is as it was"
    shutil.copy2(runs[0], file)
    return f"is that of {runs[0].parent.name}"
