"""The lists of CUB-200-2011, a line an id: `<id> <what belongs to it>`."""

from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from finegrain.errors import UserError
from finegrain.regular_file import open_regular

IMAGES, CLASSES, LABELS = "images.txt", "classes.txt", "image_class_labels.txt"
SPLIT, BOXES = "train_test_split.txt", "bounding_boxes.txt"

# What stands on a line of each list.
FORMS = {
    IMAGES: "<image id> <folder/file>",
    CLASSES: "<class id> <class name>",
    LABELS: "<image id> <class id>",
    SPLIT: "<image id> <1 for training, 0 for test>",
    BOXES: "<image id> <left> <top> <width> <height>",
}


@dataclass(frozen=True)
class IdList:
    """One of the lists: id -> what belongs to it, and the line where it stands."""

    path: Path
    values: dict[str, str]
    lines: dict[str, int]

    def where(self, identity: str) -> str:
        return f"line {self.lines[identity]} of {self.path}"


def read_id_list(root: Path, name: str) -> IdList:
    """Read a list of a CUB folder; ids are text, blank lines do not count.

    Raises:
        UserError: the list is missing, empty or no text, a line is not of its form, or an id
            stands twice.
    """
    path = root / name
    found = IdList(path, {}, {})
    for number, line in enumerate(_lines(path), start=1):
        identity, *value = line.split(maxsplit=1) or [""]
        if not identity:
            continue
        if not value:
            raise UserError(
                f"line {number} of {path} is {line.strip()[:80]!r}, not {FORMS[name]}; mend it"
            )
        if identity in found.lines:
            raise UserError(
                f"lines {found.lines[identity]} and {number} of {path} have one id, {identity}; "
                "keep one of them"
            )
        found.values[identity], found.lines[identity] = value[0].strip(), number
    if not found.values:
        raise UserError(f"{path} is empty; unpack the archive again")
    return found


def _lines(path: Path) -> list[str]:
    try:
        with TextIOWrapper(open_regular(path), encoding="utf-8-sig") as file:
            return list(file)
    except FileNotFoundError as error:
        others = ", ".join(name for name in (IMAGES, CLASSES, LABELS) if name != path.name)
        raise UserError(
            f"{path} is missing, which belongs with {others}; unpack the archive again"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UserError(f"{path} cannot be read: {reason}") from error
