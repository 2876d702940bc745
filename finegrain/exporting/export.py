"""Export a run: write beside, ask the written model, put it in place only when it agrees."""

import glob
import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from finegrain.errors import UserError, one_line
from finegrain.frame import Fit
from finegrain.inference.agreement import Agreement, agreement
from finegrain.inference.keras_engine import KerasEngine
from finegrain.inference.opening import TOLERANCE
from finegrain.inference.openvino_engine import FLOAT32
from finegrain.quiet import stderr_aside
from finegrain.runs.finished_run import FinishedRun
from finegrain.whole_files import partial_beside, remove_partials

IMAGE = "image"
PROBABILITIES = "probabilities"
REQUIREMENTS = "requirements-export.txt"
WAYS: dict[Fit, str] = {
    "squeeze": "squeeze it to this size, not keeping its aspect ratio",
    "crop": "shrink the largest part in its middle that has this shape to this size",
    "pad": "shrink it until all of it fits into this size, between black borders",
}


@dataclass(frozen=True)
class ModelCard:
    """What stands inside an exported model for those who use it."""

    classes: list[str]
    image_size: tuple[int, int]
    fit: Fit
    category_ids: list[str] | None
    input: str
    output: str

    def texts(self) -> dict[str, str]:
        """Each entry as text; lists as JSON."""
        entries = {name: value for name, value in asdict(self).items() if value is not None}
        return {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in entries.items()
        }


def model_card(run: FinishedRun) -> ModelCard:
    """What a run's classifier takes and gives."""
    height, width = run.frame.size
    return ModelCard(
        classes=run.classes,
        image_size=run.frame.size,
        fit=run.frame.fit,
        category_ids=run.category_ids,
        input=f"{IMAGE}: uint8 (batch, {height}, {width}, 3), RGB, 0 to 255. Turn a photograph "
        f"upright (EXIF) and {WAYS[run.frame.fit]}, with a bilinear "
        "filter that averages when it shrinks (Pillow's). Scaling of pixels is inside the model.",
        output=f"{PROBABILITIES}: float32 (batch, {len(run.classes)}), in the order of classes",
    )


def served_model(classifier: keras.Model) -> keras.Model:
    """The classifier on bytes: nobody can feed it pixels of 0 to 1 by mistake."""
    image = keras.Input(classifier.input_shape[1:], dtype="uint8", name=IMAGE)
    return keras.Model(image, {PROBABILITIES: classifier(image)}, name="served")


@dataclass(frozen=True)
class Format:
    """One format, by the name that a user calls it.

    Attributes:
        suffix: of the file to write; empty where it is a folder.
        packages: modules it needs besides the project's own requirements.
        write: write a model of `served_model` with its card; runs on TensorFlow.
        answer: images (N, H, W, 3) uint8 -> (N, C) float32, by the format's own runtime.
        classes: the class names read back from the written model.
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    write: Callable[[keras.Model, ModelCard, Path], None]
    answer: Callable[[Path, np.ndarray], np.ndarray]
    classes: Callable[[Path], list[str]]

    def check_packages(self) -> None:
        """Refuse where a package is not installed."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise UserError(
                    f"--format {self.name} needs the package {package}, which is not installed: "
                    f"pip install -r {REQUIREMENTS}"
                )


def check_output(format: Format, output: Path) -> None:
    """Refuse an output that exists already or has another suffix, before any work."""
    if format.suffix and output.suffix != format.suffix:
        raise UserError(f"--output {output} must end in {format.suffix} for --format {format.name}")
    weights = output.with_suffix(".bin")
    if format.suffix == ".xml" and not output.exists():
        _take_back(weights, output)
    # Also where the output is whole: a kill may have come between it and its lock.
    remove_partials(output.parent, output.name)
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
    """Export a run's classifier with its class names to a new file; Keras must be on TensorFlow.

    A model that cannot be converted, or disagrees on at least one image, (N, H, W, 3) uint8, RGB,
    is refused, and nothing is written.
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
            answers, alone, classes = _write_and_ask(run, classifier, format, beside, images)
            found = agreement([answers], expected)
            worst = max(found.error, agreement([alone], [expected[0][:1]]).error)
            if worst > TOLERANCE[FLOAT32]:
                raise UserError(
                    f"the model exported as {format.name} disagrees with the original on {found}; "
                    "nothing was written, choose another --format"
                )
            if classes != run.classes:
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


def _write_and_ask(
    run: FinishedRun, classifier: keras.Model, format: Format, path: Path, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """What the written model says: of all images, of the first one alone, and its classes."""
    with stderr_aside():
        try:
            format.write(served_model(classifier), model_card(run), path)
            # One alone too: a batch size may have been cast in stone on the way.
            alone = format.answer(path, images[:1])
            return format.answer(path, images), alone, format.classes(path)
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
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if "ops:" in line.lower()), one_line(error))[:200]
