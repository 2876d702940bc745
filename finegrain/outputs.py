"""What a command writes is looked at before it starts: nothing that matters may be replaced.

Its settings say by a method `outputs` what it writes; all their other paths are what it reads.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finegrain.decode import IMAGE_SUFFIXES
from finegrain.errors import UserError
from finegrain.flags import flag_values
from finegrain.locks import folder_held
from finegrain.own_pictures import is_own_picture
from finegrain.regular_file import open_regular
from finegrain.whole_files import remove_partials

DATA_SET, RUN, STORES, FEATURES = "a data set", "a run", "a folder of stores", "exported features"
# A file that only such a folder of ours holds, in the order in which they are looked for.
TOLD_BY = {
    DATA_SET: ("manifest.csv", ".unfinished.csv"),
    RUN: ("config.json",),
    STORES: ("*-" + "[0-9a-f]" * 16 + ".h5",),
    FEATURES: ("[!.]*.h5",),
}
# What no other command than their own replaces there.
KEPT_FILES = {
    DATA_SET: (
        "manifest.csv classes.json duplicates.csv unreadable.csv statistics.json .unfinished.csv"
    ).split(),
    RUN: (
        "config.json classes.json results.json model.keras graph.zip graph-rounded.zip model.png "
        "model.txt history.png predictions.csv evaluation.json temperature.json teaching.npz "
        "report.html embeddings.h5 re_identification.json"
    ).split(),
}
STAGE_FILES = ("state.json", "history.csv")
# Endings of the tables that most commands write.
TABLES = ("", ".txt", ".csv", ".tsv")


@dataclass(frozen=True)
class OutputFile:
    """A file that a command writes, replacing an earlier one of its own."""

    flag: str
    path: Path | None  # None if it is not asked for
    is_picture: bool = False  # whether it may replace a picture that we drew
    own_names: tuple[str, ...] = ()  # files of a run that this command may replace
    replaces: tuple[str, ...] = TABLES  # endings, in lower case, of what it may have written
    told_by: bytes = b""  # what the first 4 kB of those hold, if it is not any such file


@dataclass(frozen=True)
class OutputFolder:
    """A folder that a command works in, by default alone for as long as it does."""

    flag: str
    path: Path
    # What it becomes, `RUN` or `DATA_SET`, and nothing else before; None takes files beside others.
    kind: str | None = None
    names: tuple[str, ...] = ()  # files that are written there
    is_shared: bool = False  # whether several commands may work there at once


Output = OutputFile | OutputFolder


def kind_of(folder: Path) -> str | None:
    """What a folder holds of ours, None if nothing is known of it."""
    for kind, patterns in TOLD_BY.items():
        if any(next(folder.glob(pattern), None) is not None for pattern in patterns):
            return kind
    return None


def _owner_of(path: Path) -> str | None:
    """The run or data set that needs a file of this name, in words; None for any other file."""
    for kind, names in KEPT_FILES.items():
        if path.name in names and kind_of(path.parent) == kind:
            return f"{kind}, {path.parent}"
    if path.name in STAGE_FILES and kind_of(path.parent.parent) == RUN:
        return f"{RUN}, {path.parent.parent}"
    return None


@contextlib.contextmanager
def outputs_ready(settings: Any) -> Iterator[None]:
    """Refuse outputs that would replace what they must not; keep the folders for this command."""
    outputs = list(settings.outputs()) if hasattr(settings, "outputs") else []
    inputs = _inputs(settings, [output.flag for output in outputs])
    _refuse_one_for_two(outputs)
    for output in outputs:
        check = check_output_file if isinstance(output, OutputFile) else _check_output_folder
        check(output, inputs)
    with contextlib.ExitStack() as held:
        for output in outputs:
            if isinstance(output, OutputFolder) and not output.is_shared:
                held.enter_context(folder_held(output.path))
                remove_partials(output.path)
        yield


def check_output_file(output: OutputFile, inputs: Iterable[Path]) -> None:
    """Refuse to replace an input, a photograph, or what is not of this command's making."""
    path = output.path
    if path is None:
        return
    if path.is_dir():
        raise UserError(f"{output.flag} {path} is a folder; name a file in it")
    problem = _why_not(output, path, inputs)
    if problem is not None:
        raise UserError(f"{output.flag} {path} {problem}; give another name")


def _why_not(output: OutputFile, path: Path, inputs: Iterable[Path]) -> str | None:
    owner = None if path.name in output.own_names else _owner_of(path)
    if owner is not None:
        return f"would replace a file of {owner}"
    if not path.exists():
        return None
    if any(os.path.exists(other) and os.path.samefile(other, path) for other in inputs):
        return "would replace an input of this command"
    if not path.is_file():
        return "is no regular file"
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES and not (output.is_picture and is_own_picture(path)):
        return "would replace an image that this project did not draw"
    with open_regular(path) as file:
        told = output.told_by in file.read(4096)
    if not output.is_picture and not (suffix in output.replaces and told):
        return "would replace a file that this command did not write"
    return None


def _check_output_folder(output: OutputFolder, inputs: Iterable[Path]) -> None:
    path, name = output.path, f"{output.flag} {output.path}"
    # A link that leads nowhere or in a circle is no folder either.
    if os.path.lexists(path) and not path.is_dir():
        raise UserError(f"{name} is a file; name a folder")
    if output.kind is not None:
        found = kind_of(path)
        if found not in (None, output.kind):
            raise UserError(f"{name} holds {found}, not {output.kind}; name another folder")
        if found is None:
            _refuse_foreign(output)
    for file in output.names:
        kind = (Path(file).suffix.lower(),)
        check_output_file(OutputFile(output.flag, path / file, replaces=kind), inputs)


def _refuse_foreign(output: OutputFolder) -> None:
    # The class names are a run's first file; a start that was killed leaves them alone.
    for name in set(KEPT_FILES.get(output.kind or "", ())) - {"classes.json"}:
        if (output.path / name).exists():
            raise UserError(
                f"{output.path / name} stands in the way and is not of {output.kind} made by this "
                f"command; move it away or choose another {output.flag}"
            )


def _refuse_one_for_two(outputs: list[Output]) -> None:
    flags: dict[Path, str] = {}
    for output in outputs:
        if output.path is None or not isinstance(output, OutputFile):
            continue
        other = flags.setdefault(output.path.absolute(), output.flag)
        if other != output.flag:
            raise UserError(
                f"{other} and {output.flag} name one file, {output.path}; give two names"
            )


def _inputs(settings: Any, written: list[str]) -> list[Path]:
    """The files and folders that the other flags name, among names of other things."""
    named: list[Path] = []
    for flag, value in flag_values(settings):
        if flag in written:
            continue
        if isinstance(value, Path):
            named.append(value)
        elif isinstance(value, str):
            # Weights and backbones, as in NAME=FILE and NAME,RUN.
            named += [Path(part) for part in (value, *re.split("[=,]", value)) if "\0" not in part]
    return named
