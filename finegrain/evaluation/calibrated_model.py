"""Which temperature a run's model.keras has; `temperature.json` says it by the file's digest."""

import hashlib
import json
from pathlib import Path
from typing import Annotated

import keras
from annotated_types import Gt
from pydantic import FiniteFloat

from finegrain.errors import UserError
from finegrain.records import SCHEMA_KEY, Damaged, Record, check_type, read_record, stamped
from finegrain.runs.run_folder import MODEL
from finegrain.whole_files import written_whole

TEMPERATURE = "temperature.json"
CHUNK_BYTES = 1 << 20
PositiveFinite = Annotated[FiniteFloat, Gt(0)]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content; memory is bounded."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def model_temperature(run_folder: Path, digest: str | None = None) -> float:
    """The temperature inside a run's model, 1 where it was never calibrated.

    The record goes by the model's digest, so a model that was trained on since has none.

    Args:
        run_folder: the run.
        digest: of its model.keras, if known.

    Raises:
        UserError: the record is damaged.
    """
    known = _record(run_folder)
    if not known:
        return 1.0
    return known.get(digest or file_digest(run_folder / MODEL), 1.0)


def replace_model(run_folder: Path, model: keras.Model, temperature: float) -> str:
    """Write a run's model anew with another temperature in it; whole or not at all.

    Args:
        run_folder: the run.
        model: in float32, its softmax divided by the temperature.
        temperature: all that it was divided by.

    Returns:
        The digest of the new model.keras.
    """
    with written_whole(run_folder / MODEL, 5 * model.count_params()) as beside:
        model.save(beside)
        digest = file_digest(beside)
        # Before the model takes its place: whatever happens in between, the record knows both.
        record = stamped({**_record(run_folder), digest: temperature})
        with written_whole(run_folder / TEMPERATURE) as file:
            file.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return digest


def _record(run_folder: Path) -> dict[str, float]:
    file = run_folder / TEMPERATURE
    if not file.is_file():
        return {}
    mend = "remove it if the model was never calibrated, else restore it"
    known = dict(read_record(file, Record, mend).content)
    known.pop(SCHEMA_KEY, None)
    try:
        return check_type(known, dict[str, PositiveFinite])
    except Damaged as error:
        raise UserError(f"{file} is damaged ({error}); {mend}") from error
