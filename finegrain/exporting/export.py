"""Export a run: write beside, ask the written model, put it in place only when it agrees."""

import glob
import os
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from finegrain.errors import UserError
from finegrain.exporting.format import Format, model_card, served_model
from finegrain.inference.agreement import Agreement, agreement
from finegrain.inference.conversion import one_line
from finegrain.inference.engines import FLOAT32, KerasEngine
from finegrain.inference.opening import TOLERANCE
from finegrain.quiet import stderr_aside
from finegrain.runs.finished_run import FinishedRun
from finegrain.whole_files import partial_beside, remove_partials


def check_output(format: Format, output: Path) -> None:
    """Refuse an output that cannot be, before any work.

    Raises:
        UserError: it exists already, or has another suffix.
    """
    if format.suffix and output.suffix != format.suffix:
        raise UserError(f"--output {output} must end in {format.suffix} for --format {format.name}")
    weights = output.with_suffix(".bin")
    if format.suffix == ".xml" and not output.exists():
        _take_back(weights, output)
    for part in (output, weights if format.suffix == ".xml" else output):
        if part.exists():
            raise UserError(f"{part} exists already; give another --output, or delete it")


def _take_back(part: Path, output: Path) -> None:
    """Remove a file that a killed export had put in its place before it came to the output."""
    struck = [
        folder
        for folder in output.parent.glob(f".*.partial.{glob.escape(output.name)}")
        if (folder / output.name).exists() and not (folder / part.name).exists()
    ]
    # Leaves those of living processes.
    remove_partials(output.parent, output.name)
    if struck and not any(folder.exists() for folder in struck):
        part.unlink(missing_ok=True)


def export_run(run: FinishedRun, format: Format, output: Path, images: np.ndarray) -> Agreement:
    """Export a run's classifier with its class names; Keras must be on TensorFlow.

    Args:
        run: the run.
        format: to write.
        output: file or folder to make; must not exist.
        images: (N, H, W, 3) uint8, RGB, N at least 1: photographs to compare on.

    Raises:
        UserError: the model cannot be converted or disagrees, and nothing was written; or the
            disk is full.
    """
    classifier = run.classifier()
    expected = KerasEngine(classifier).run(images)
    if not np.isfinite(expected[0]).all():
        raise UserError(
            f"the model of {run.folder} answers with numbers that are not finite, its training "
            "must have diverged; train it again with a smaller learning rate"
        )
    try:
        with partial_beside(output) as temporary:
            temporary.mkdir()
            beside = temporary / output.name
            written = _write_and_ask(run, classifier, format, beside, images)
            found = _compared(format, written, expected)
            if written.classes != run.classes:
                raise UserError(
                    f"the class names came out of {format.name} as others, so nothing was written; "
                    "choose another --format"
                )
            # What belongs to the output goes before it.
            for part in sorted(temporary.iterdir(), key=lambda part: part == beside):
                os.rename(part, output.parent / part.name)
    except OSError as error:
        raise UserError(f"{output} could not be written ({error.strerror or error})") from error
    return found


class _Written(NamedTuple):
    """What a written model says: of all images, of the first one alone, and its classes."""

    together: np.ndarray
    alone: np.ndarray
    classes: list[str]


def _write_and_ask(
    run: FinishedRun, classifier: keras.Model, format: Format, path: Path, images: np.ndarray
) -> _Written:
    with stderr_aside():
        try:
            format.write(served_model(classifier), model_card(run), path)
            # One alone too: a batch size may have been cast in stone on the way.
            return _Written(
                format.answer(path, images), format.answer(path, images[:1]), format.classes(path)
            )
        except (UserError, OSError) as error:
            failure = error
        except Exception as error:
            # Converters fail in their own ways; what they print on it stays aside.
            failure = UserError(
                f"the model of {run.folder} cannot be converted to {format.name} "
                f"({_reason(error)}); choose another --format, saved_model takes every model"
            )
            failure.__cause__ = error
    raise failure


def _reason(error: Exception) -> str:
    """The line that names what is not supported, else the last one."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if "ops:" in line.lower()), one_line(error))[:200]


def _compared(format: Format, written: _Written, expected: list[np.ndarray]) -> Agreement:
    found = agreement([written.together], expected)
    worst = max(found.error, agreement([written.alone], [expected[0][:1]]).error)
    if worst > TOLERANCE[FLOAT32]:
        raise UserError(
            f"the model exported as {format.name} disagrees with the original on {found}; "
            "nothing was written, choose another --format"
        )
    return found
