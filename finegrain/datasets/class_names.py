"""Class names: their order and what they may look like."""

import re
import unicodedata
from collections.abc import Iterable

from finegrain.errors import UserError

LONGEST_FILE_NAME = 255


def natural_key(name: str) -> tuple[tuple[int | str, ...], str]:
    """Sorting key that puts numbers in names in counting order: `2` before `10`."""
    pieces = re.split(r"([0-9]+)", name)
    counted = [int(piece) if place % 2 else piece for place, piece in enumerate(pieces)]
    # The name itself tells `1` from `01`, so that the order is total.
    return tuple(counted), name


def class_order(labels: Iterable[str]) -> list[str]:
    """The distinct labels in natural order: index i of a model's output is class i of this list."""
    return sorted(set(labels), key=natural_key)


def has_control_characters(name: str) -> bool:
    """Whether a name holds line breaks, other control characters, or bytes that are not UTF-8."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in name)


def unfit_for_folder(name: str) -> str | None:
    """Why a class name cannot be the name of a folder; None if it can, in letters of any script."""
    if not name.strip():
        return "it is empty"
    if name in (".", ".."):
        return "it means a folder of its own"
    if "/" in name or "\\" in name:
        return "it holds a slash"
    if has_control_characters(name):
        return "it holds a sign that cannot be printed"
    if len(name.encode("utf-8")) > LONGEST_FILE_NAME:
        return f"it is longer than {LONGEST_FILE_NAME} bytes"
    return None


def check_class_name(name: str) -> None:
    """Refuse a class that cannot be the name of a folder, see `unfit_for_folder`."""
    if (reason := unfit_for_folder(name)) is not None:
        raise UserError(f"the class name {name!r} cannot be a folder: {reason}; rename the class")
