"""Damaged photographs through the commands that read photographs."""

import csv
from pathlib import Path

import numpy as np

from hostile.case import Case
from hostile.mutants import FORMATS, lay_out_mutants, lay_out_special_files
from hostile.process import Command
from hostile.verdict import changed_inputs, faults_of, partial_files
from hostile.world import World

MUTANTS = (20, 150)
# Seconds for as many photographs, whatever they are.
LIMIT = 120


def attack(world: World, rng: np.random.Generator) -> Case:
    """One command on a folder of many mutants, special files and some whole photographs."""
    world.reset()
    hurt = world.here / "hurt"
    name = list(READERS)[rng.integers(len(READERS))]
    folders = (hurt / "a", hurt / "b") if name == "img2keras" else (hurt,)
    photos = sorted((world.here / "photos").iterdir())
    count, special = int(rng.integers(*MUTANTS)), []
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        for photo in photos[number * 4 : number * 4 + 4]:
            (folder / f"whole-{photo.name}").write_bytes(photo.read_bytes())
        lay_out_mutants(folder, photos, count // len(folders), rng)
        special += lay_out_special_files(folder, rng, odd_names=name == "img2keras")
    arguments, judge = READERS[name]
    command = Command(*arguments)
    case = Case(f"{command}; {count} mutants and {', '.join(special) or 'nothing else'}")
    outcome = world.run(command, LIMIT)
    case.add(faults_of(outcome), outcome)
    if outcome.status != 0:
        case.add([f"damaged photographs end it with {outcome.status}"], outcome)
    elif not case.faults:
        case.add(judge(world.here, hurt), outcome)
    case.add(partial_files(world.here), outcome)
    case.add(changed_inputs(world.here, world.before, ("runs/",)), outcome)
    return case


def _judge_data_set(here: Path, hurt: Path) -> list[str]:
    """Faults: the manifest and the files differ, or a whole photograph is missing."""
    output = here / "new/data"
    with (output / "manifest.csv").open(
        encoding="utf-8", newline="", errors="surrogateescape"
    ) as file:
        named = [row["path"] for row in csv.DictReader(file)]
    standing = {
        path.relative_to(output).as_posix()
        for split in ("train", "valid", "test")
        for path in (output / split).rglob("*")
        if not path.is_dir()
    }
    found = []
    if len(named) != len(set(named)) or set(named) != standing:
        found.append(f"{len(named)} rows in the manifest, {len(standing)} files")
    names = {Path(path).name for path in named}
    lost = [path.name for path in hurt.rglob("whole-*") if path.name not in names]
    return found + ([f"whole photographs lost: {', '.join(lost[:3])}"] if lost else [])


def _judge_submission(here: Path, hurt: Path) -> list[str]:
    """Faults: a file without its one row."""
    with (here / "new/predict.txt").open(encoding="utf-8", newline="") as file:
        ids = [line.rstrip("\r\n").rpartition("\t")[2] for line in file]
    images = [path for path in hurt.iterdir() if path.is_file() and path.suffix[1:] in FORMATS]
    expected = [path.stem for path in images if not path.is_symlink()]
    lost = set(expected) - set(ids)
    doubled = len(ids) - len(set(ids))
    found = [f"{len(lost)} images without a row: {min(lost)}"] if lost else []
    return found + ([f"{doubled} rows stand twice"] if doubled else [])


def _nothing_more(here: Path, hurt: Path) -> list[str]:
    return []


READERS = {
    "img2keras": (
        (
            "img2keras.py",
            (
                *(
                    "--source hurt --output new/data --valid-fraction 0.3 --statistics --workers 1"
                ).split(),
            ),
        ),
        _judge_data_set,
    ),
    "submission": (
        (
            "single_model_test.py",
            (*"--run runs/single --images hurt --output new/predict.txt --no-openvino".split(),),
        ),
        _judge_submission,
    ),
    "export_features": (
        (
            "recipes/export_features.py",
            (
                *(
                    "--data data --images hurt --backbones CampaignNet --weights none "
                    "--image-size 32 --output new/features --no-openvino"
                ).split(),
            ),
        ),
        _nothing_more,
    ),
    "similar": (
        (
            "tools/similar.py",
            (
                *(
                    "--run runs/single --index hurt --output new/similar.jpg --k 2 "
                    "--no-openvino test/0.jpg"
                ).split(),
            ),
        ),
        _nothing_more,
    ),
}
