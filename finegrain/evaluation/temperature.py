"""Temperature scaling: how sure a model says it is, brought in line with how often it is right.

Guo et al. 2017, arXiv 1706.04599, section 4.2: softmax(z / T) with one T for all classes, fitted
on validation images. Which class is the most probable one does not change. Which temperature a
run's model.keras has, `temperature.json` says by the file's digest.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Gt
from pydantic import FiniteFloat
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from finegrain.errors import UserError
from finegrain.evaluation.bootstrap import drawn_rows
from finegrain.models.heads import CATEGORY
from finegrain.records import SCHEMA_KEY, Damaged, Record, check_type, read_record, write_record
from finegrain.regular_file import file_digest
from finegrain.runs.predictions import TopAnswers, joined_answers, top_answers
from finegrain.runs.run_folder import MODEL
from finegrain.whole_files import written_whole

if TYPE_CHECKING:
    import keras

TEMPERATURE = "temperature.json"
SMALLEST, LARGEST = 0.05, 20.0
# Logits held at a time for fitting: 400 MB.
MOST_LOGITS = 100_000_000
BLOCK = 512
PositiveFinite = Annotated[FiniteFloat, Gt(0)]


def head_weights(model: "keras.Model") -> tuple[np.ndarray, np.ndarray]:
    """Kernel (D, C) and bias (C,) of the softmax."""
    kernel, bias = model.get_layer(CATEGORY).get_weights()
    return kernel, bias


def divide_logits(model: "keras.Model", temperature: float) -> None:
    """Make the model answer softmax(z / T); 1 / T takes it back, but for the last digit."""
    head = model.get_layer(CATEGORY)
    head.set_weights([weights / np.float32(temperature) for weights in head.get_weights()])


def fit_temperature(
    embeddings: np.ndarray, kernel: np.ndarray, bias: np.ndarray, labels: np.ndarray
) -> float:
    """The T with the smallest log loss; it takes seconds and is the same each time.

    Of very many images times classes a part is taken, drawn by chance. Embeddings (N, D), at least
    one and finite, are what the softmax of `head_weights` sees. UserError where no T is best: the
    model would have to be ever surer, or ever less sure.
    """
    rows = drawn_rows(len(labels), max(1, MOST_LOGITS // len(bias)))
    if len(rows) < len(labels):
        embeddings, labels = embeddings[rows], labels[rows]
    logits = embeddings @ kernel + bias
    found = minimize_scalar(
        lambda log_temperature: log_loss_of_logits(logits, labels, np.exp(log_temperature)),
        bounds=(np.log(SMALLEST), np.log(LARGEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    temperature = float(np.exp(found.x))
    if not SMALLEST * 1.01 < temperature < LARGEST / 1.01:
        every = (logits.argmax(axis=1) == labels).all()
        reason = "its answers on the validation images say nothing about how sure it may be"
        if every:
            reason = "all validation images are answered rightly"
        raise UserError(
            f"no temperature fits this model: {reason}; calibrate on more, or harder, validation "
            "images"
        )
    return temperature


def log_loss_of_logits(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Mean of -log softmax(z / T) at the true class, without rounding small probabilities away."""
    total = 0.0
    for start in range(0, len(labels), BLOCK):
        block = logits[start : start + BLOCK].astype("float64") / temperature
        true = block[np.arange(len(block)), labels[start : start + BLOCK]]
        total += float((logsumexp(block, axis=1) - true).sum())
    return total / len(labels)


def answers_from_embeddings(
    embeddings: np.ndarray, kernel: np.ndarray, bias: np.ndarray, labels: np.ndarray
) -> TopAnswers:
    """What a softmax of these weights answers; the backbone need not look again."""
    parts = []
    for start in range(0, max(1, len(labels)), BLOCK):
        block = slice(start, start + BLOCK)
        probabilities = softmax(embeddings[block] @ kernel + bias, axis=1)
        parts.append(top_answers(probabilities, labels[block]))
    return joined_answers(parts)


def model_temperature(run_folder: Path, digest: str | None = None) -> float:
    """The temperature inside a run's model, 1 where never calibrated, or trained on since."""
    known = _record(run_folder)
    return known.get(digest or file_digest(run_folder / MODEL), 1.0) if known else 1.0


def replace_model(run_folder: Path, model: "keras.Model", temperature: float) -> str:
    """Write a run's calibrated float32 model, whole or not at all; gives model.keras's digest."""
    with written_whole(run_folder / MODEL, 5 * model.count_params()) as beside:
        model.save(beside)
        digest = file_digest(beside)
        # Before the model takes its place: whatever happens in between, the record knows both.
        write_record(run_folder / TEMPERATURE, {**_record(run_folder), digest: temperature})
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
