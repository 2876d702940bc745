"""The measures of evaluation.json as rows of a table."""

from dataclasses import dataclass
from typing import Any

from finegrain.evaluation.measures import MEASURES


@dataclass(frozen=True)
class Measure:
    """One number with its 95 % interval, `low to high` or empty, as text."""

    name: str
    value: str
    interval: str


def measures_of(evaluation: dict[str, Any]) -> list[Measure]:
    """The measures of one split that could be taken, in the order of evaluation.json."""
    return [
        Measure(_heading(key), _text(key, found["value"]), _span(key, found))
        for key, found in evaluation.get("measures", {}).items()
        if found is not None
    ]


def measure_rows(evaluation: dict[str, Any]) -> list[tuple[str, list[Measure | None]]]:
    """Name of each measure that some split has, and what it is for each split."""
    columns = [{one.name: one for one in measures_of(part)} for part in evaluation.values()]
    names = dict.fromkeys(name for column in columns for name in column)
    return [(name, [column.get(name) for column in columns]) for name in names]


def measure_notes(evaluation: dict[str, Any]) -> list[str]:
    """Sentences on measures of one split that are missing, one a reason, and its other notes."""
    reasons: dict[str, list[str]] = {}
    for key, reason in evaluation.get("missing", {}).items():
        reasons.setdefault(reason, []).append(_heading(key))
    missing = [f"No {', '.join(names)}: {reason}." for reason, names in reasons.items()]
    return missing + [f"{note}." for note in evaluation.get("notes", [])]


def _heading(key: str) -> str:
    # A measure of another version keeps its own name.
    return MEASURES[key].heading if key in MEASURES else key


def _span(key: str, found: dict[str, Any]) -> str:
    if found.get("low") is None or found.get("high") is None:
        return ""
    return f"{_text(key, found['low']).removesuffix(' %')} to {_text(key, found['high'])}"


def _text(key: str, value: float) -> str:
    percent = key not in MEASURES or MEASURES[key].percent
    return f"{100 * value:.1f} %" if percent else f"{value:.3f}"
