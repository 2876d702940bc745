"""The finished parts of a long measurement, kept as JSON, so that stopping it loses little."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finegrain.errors import UserError
from finegrain.whole_files import written_whole

SETTINGS = "settings.json"
PART = "part.json"


class KeptParts:
    """A folder of measurements made with one set of settings.

    Args:
        folder: where they are kept; made if missing.
        settings: what shapes the numbers, as JSON values.

    Raises:
        UserError: the folder holds something else, or was made with other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        self.folder = folder
        file = folder / SETTINGS
        settings = json.loads(json.dumps(settings))
        if not file.is_file():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise UserError(f"--output {folder} holds other things; name a new folder")
            write_json(file, settings)
        made_with = json.loads(file.read_text(encoding="utf-8"))
        differing = [
            f"{key} {made_with.get(key)!r} there, {settings.get(key)!r} now"
            for key in {**made_with, **settings}
            if made_with.get(key) != settings.get(key)
        ]
        if differing:
            raise UserError(
                f"{folder} was measured with other settings ({'; '.join(differing)}): give those "
                "again, or another --output"
            )

    def part(self, name: str, measure: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """A part's numbers: those kept, else measured now, from the beginning.

        Args:
            name: of the part, and of its folder.
            measure: gets the part's empty folder and returns its numbers.
        """
        folder = self.folder / name
        file = folder / PART
        if not file.is_file():
            # What was cut short would go on where it stopped and cost less than it does.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            write_json(file, measure(folder))
        return self.read(name)

    def read(self, name: str) -> dict[str, Any]:
        """The numbers of a part measured before."""
        return json.loads((self.folder / name / PART).read_text(encoding="utf-8"))


def write_json(file: Path, value: Any) -> None:
    """Write a JSON file whole."""
    with written_whole(file) as beside:
        beside.write_text(json.dumps(value, indent=1), encoding="utf-8")
