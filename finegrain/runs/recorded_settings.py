"""Settings that a folder was made with, held against those that are asked for now."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

from finegrain.errors import UserError


def defaults_of(kind: type) -> dict[str, Any]:
    """The defaults of a dataclass as JSON values; fields without one are left out."""
    defaults = {}
    for field in fields(kind):
        value = field.default
        if field.default_factory is not MISSING:
            value = field.default_factory()
        is_instance = is_dataclass(value) and not isinstance(value, type)
        if value is not MISSING:
            defaults[field.name] = asdict(value) if is_instance else value
    return defaults


def completed(recorded: Mapping[str, Any], held_before: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded settings, with what held before a setting was there where it is missing."""
    whole = {**held_before, **recorded}
    for name, before in held_before.items():
        if isinstance(before, Mapping) and isinstance(whole[name], Mapping):
            whole[name] = completed(whole[name], before)
    return whole


def refuse_differences(made_with: dict[str, Any], asked_for: dict[str, Any], path: Path) -> None:
    """Refuse to go on in a folder that was made with other settings.

    Raises:
        UserError: names every setting that differs, with both values.
    """
    asked_for = json.loads(json.dumps(asked_for))
    differing = [
        f"{key} {made_with.get(key)!r} there, {asked_for.get(key)!r} now"
        for key in {**made_with, **asked_for}
        if made_with.get(key) != asked_for.get(key)
    ]
    if differing:
        raise UserError(
            f"{path} was made with other settings ({'; '.join(differing)}): "
            "give those again, or another --run"
        )
