"""JSON files whose content has a known type, checked where they are opened.

    class Results(Record):
        stages: dict[str, StageNumbers] = {}

    results = read_record(path, Results, "delete it and train again")

Keys that a type does not know are left alone: another version, or a person, may have put them
there. A type's defaults are what held before its key was written.
"""

import json
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, NonNegativeInt, PrivateAttr, TypeAdapter, ValidationError

from finegrain.errors import UserError
from finegrain.regular_file import read_regular
from finegrain.whole_files import written_whole

# What every record carries, and the newest that this version can read: raised when older versions
# would misread what is written. Records without one are from before they were numbered.
SCHEMA_KEY = "schema"
SCHEMA = 1
# Far more than any record has, and far from what exhausts the stack.
MOST_LEVELS = 50
TOO_DEEP = f"it is nested deeper than {MOST_LEVELS} levels"


class Typed(BaseModel):
    """A part of a record: a number in quotes is no number, and infinity is none either."""

    model_config = {"strict": True, "allow_inf_nan": False, "frozen": True}


class Record(Typed):
    """The content of one file, or of one part that stands for itself."""

    _content: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def content(self) -> dict[str, Any]:
        """All that the file holds, unknown keys included, as JSON values."""
        return self._content


R = TypeVar("R", bound=Record)


class Damaged(Exception):
    """What is wrong with a file, in a few words."""


def read_record(path: Path, kind: type[R], mend: str, errors: str = "strict") -> R:
    """As `read_json`, checked to be a record of a kind; a `UserError` for newer versions' files."""
    content = read_json(path, mend, errors)
    try:
        if not isinstance(content, dict):
            raise Damaged("it is no table of names and values")
        refuse_newer(path, check_type(content.get(SCHEMA_KEY, 0), NonNegativeInt))
        record = check_type(content, kind)
    except Damaged as error:
        raise UserError(f"{path} is damaged ({error}); {mend}") from error
    record._content = content
    return record


def read_json(path: Path, mend: str, errors: str = "strict") -> Any:
    """Read a JSON file that may have been edited or damaged.

    `mend` is a clause, what to do about a damaged one; `errors` are those of decoding UTF-8,
    `surrogateescape` where names of files were written that way. Raises a `UserError` if it cannot
    be read, is no JSON in UTF-8, has a key twice in one table, or thousands of levels.
    """
    try:
        text = read_regular(path).decode("utf-8", errors)
        content = json.loads(text, object_pairs_hook=_without_doubles)
        _refuse_depth(content)
        return content
    except RecursionError:
        reason = TOO_DEEP
    except (OSError, ValueError, Damaged) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise UserError(f"{path} is damaged ({reason}); {mend}")


def check_type(content: Any, kind: Any) -> Any:
    """JSON values as a value of a type, or `Damaged`, which names the first wrong place."""
    try:
        return TypeAdapter(kind).validate_python(content, strict=True)
    except ValidationError as error:
        raise Damaged(first_problem(error)) from error


def first_problem(error: ValidationError) -> str:
    """The first place that is wrong and what is wrong there, in a few words."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def write_record(path: Path, content: dict[str, Any], errors: str = "strict", **form: Any) -> None:
    """Write a record with the number of its schema, in the form that `json.dumps` is told."""
    # First, and whatever the record said that this one comes from.
    content = {SCHEMA_KEY: SCHEMA} | content | {SCHEMA_KEY: SCHEMA}
    with written_whole(path) as file:
        file.write_text(json.dumps(content, indent=1, **form), encoding="utf-8", errors=errors)


def refuse_newer(path: Path, schema: int) -> None:
    """Refuse, as a `UserError`, a file that a newer version wrote."""
    if schema > SCHEMA:
        raise UserError(
            f"{path} was written by a newer version of this project (schema {schema}, this one "
            f"knows {SCHEMA}); update the project"
        )


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise Damaged(f"{double!r} stands in it twice")
    return table


def _refuse_depth(content: Any) -> None:
    level = [content]
    for _ in range(MOST_LEVELS):
        tables = [value.values() for value in level if isinstance(value, dict)]
        lists = [value for value in level if isinstance(value, list)]
        level = [*chain(*tables, *lists)]
        if not level:
            return
    raise Damaged(TOO_DEEP)
