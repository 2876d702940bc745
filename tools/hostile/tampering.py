"""Files of a run, a data set, a store or an export, changed by someone else."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np

from hostile.case import Case
from hostile.mutants import mutant
from hostile.scenarios import Scenario, scenarios
from hostile.verdict import changed_inputs, faults_of, partial_files
from hostile.world import World

FOLDERS = ("data", "runs/multi", "runs/single", "runs/cache", "features", "market", "test")
SUFFIXES = (".json", ".csv", ".h5", ".keras")
NESTING = 50_000
# Seconds after which a command hangs.
LIMIT = 120.0
WRONG = (None, True, -1, 0, 1e308, 2**70, "", "x", "../..", [], {}, [[]], [None], {"a": 1},
         float("nan"), "\ud800", [1, 2, 3], "0")  # fmt: skip


def attack(world: World, rng: np.random.Generator) -> Case:
    """Change one file and call a command that reads it."""
    files = targets(world.base)
    path = files[rng.integers(len(files))]
    readers = [each for each in scenarios() if each.can_run(world.base) and each.reads(path)]
    scenario = readers[rng.integers(len(readers))]
    world.reset()
    told = tamper(world.here / path, rng)
    case = Case(f"{scenario.command}; {path} {told}")
    outcome = world.run(scenario.command, LIMIT)
    case.add(faults_of(outcome), outcome)
    case.add(partial_files(world.here), outcome)
    case.add(_changed(world, scenario, path), outcome)
    return case


def targets(base: Path) -> list[str]:
    """The files worth tampering with that some command reads."""
    paths = [
        file.relative_to(base).as_posix()
        for folder in FOLDERS for file in sorted((base / folder).rglob("*"))
        if file.suffix in SUFFIXES
    ]  # fmt: skip
    return [path for path in paths if any(each.reads(path) for each in scenarios())]


def _changed(world: World, scenario: Scenario, path: str) -> list[str]:
    """Faults: another file than the tampered one changed."""
    others = {name: content for name, content in world.before.items() if name != path}
    return changed_inputs(world.here, others, scenario.owns)


def tamper(file: Path, rng: np.random.Generator) -> str:
    """Change a file in one of the ways that suit it; says which."""
    ways = [_bytes_changed, _cut_short, _emptied, _made_a_folder, _removed]
    special = {".json": [_leaf_changed] * 8 + [_nested], ".h5": [_rows_taken, _flattened] * 3,
               ".keras": [_of_another] * 3, ".csv": [_cells_changed] * 5}  # fmt: skip
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


def _places(value: object, way: str = ""):
    """(holder, key, way to it) of every value below, containers too."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
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
    names = []
    opened.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


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
