"""What computes the answers of a model, Keras or OpenVINO, and how closely the two agree."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from finegrain.inference.conversion import load_openvino

if TYPE_CHECKING:
    import openvino

BFLOAT16, FLOAT32 = "bf16", "f32"
PRECISION_NAMES = {BFLOAT16: "bfloat16", FLOAT32: "float32"}

# Images a request, at most. Xception at 299 on two cores, images a second with 1, 2, 4, 8, 16:
# 16.4, 17.3, 23.2, 22.2, 22.4. Small requests also keep what lies between two layers in cache.
IMAGES_A_REQUEST = 4


class KerasEngine:
    """Runs a model of one input as it is, on whatever device its backend uses.

    A short batch is filled up with zeros to a power of two, or to the longest so far, since a
    backend compiles each shape anew: every odd batch would cost JAX seconds. Its name
    tells backend and dtype policy, e.g. `Keras, tensorflow float32`.
    """

    def __init__(self, model: keras.Model):
        self._model = model
        self._takes_integers = bool(getattr(model, "inputs", None))
        self._longest = 0
        policy = keras.config.dtype_policy().name
        self.name = f"Keras, {keras.backend.backend()} {policy}"

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """All outputs, (B, ...) float32 each, of a batch (B, H, W, 3), uint8 or float32."""
        count = len(batch)
        self._longest = max(self._longest, count)
        if not self._takes_integers:
            # A subclassed model computes with what it is given.
            batch = batch.astype("float32", copy=False)
        filled = min(self._longest, 1 << (count - 1).bit_length())
        if count < filled:
            black = np.zeros((filled - count, *batch.shape[1:]), batch.dtype)
            batch = np.concatenate([batch, black])
        # Three times as fast as predict() on a batch, and unlike a bare call it runs compiled.
        outputs = self._model.predict_on_batch(batch)
        if not isinstance(outputs, (list, tuple)):
            outputs = [outputs]
        return [np.asarray(output, dtype="float32")[:count] for output in outputs]


class OpenVINOEngine:
    """A converted model, compiled for the CPU in one of `PRECISION_NAMES`.

    OpenVINO computes several requests side by side, a stream of cores each (one request after
    the other would leave most cores idle), so a batch is cut among the streams. Its name tells
    version, precision and streams, e.g. `OpenVINO 2026.4, bfloat16, 2 streams`.
    """

    def __init__(self, graph: "openvino.Model", precision: str):
        openvino = load_openvino()
        compiled = openvino.Core().compile_model(
            graph, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": precision}
        )
        self._outputs = len(compiled.outputs)
        self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(self._keep)
        self._streams = len(self._queue)
        self._dtype = compiled.input(0).element_type.to_dtype()
        self._answers: dict[int, np.ndarray] = {}
        self._making = threading.Lock()
        version = ".".join(openvino.__version__.split(".")[:2])
        streams = f"{self._streams} stream{'s' if self._streams > 1 else ''}"
        self.name = f"OpenVINO {version}, {PRECISION_NAMES[precision]}, {streams}"

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """All outputs, (B, ...) float32 each and in the model's order, of a batch (B, H, W, 3).

        Its dtype is that which the graph was made for; uint8 fits a float32 graph too, but not
        the reverse: the batch would lose its fractions.
        """
        if batch.dtype != self._dtype:
            if not np.can_cast(batch.dtype, self._dtype):
                raise ValueError(
                    f"`batch` must be {self._dtype}, as the sample was. Received: {batch.dtype}"
                )
            batch = batch.astype(self._dtype)
        batch = np.ascontiguousarray(batch)
        count = len(batch)
        step = max(1, min(IMAGES_A_REQUEST, math.ceil(count / self._streams)))
        self._answers = {}
        for start in range(0, count, step):
            part = batch[start : start + step]
            self._queue.start_async({0: part}, (start, count), share_inputs=True)
        self._queue.wait_all()
        answers, self._answers = self._answers, {}
        return [answers[index] for index in range(self._outputs)]

    def _keep(self, request: Any, place: tuple[int, int]) -> None:
        """Copy a request's outputs, which the next one overwrites, to their rows."""
        start, count = place
        for index in range(self._outputs):
            part = request.get_output_tensor(index).data
            with self._making:
                if index not in self._answers:
                    self._answers[index] = np.empty((count, *part.shape[1:]), dtype="float32")
            self._answers[index][start : start + len(part)] = part


@dataclass(frozen=True)
class Agreement:
    """What a comparison of two engines on some images found.

    Attributes:
        error: L2 norm of the difference over that of the reference, over all images; of the
            output where it is largest. Infinite where an answer is not finite.
        cosine: the smallest between an image's two answers.
        same_top: for how many images the largest number stands in the same place; None where
            the only output is not a probability for each class.
    """

    images: int
    error: float
    cosine: float
    same_top: int | None = None

    def __str__(self) -> str:
        top = f", top class the same in {self.same_top}" if self.same_top is not None else ""
        return (
            f"{self.images} image{'s' if self.images > 1 else ''} to {percent(self.error)} "
            f"(cosine {self.cosine:.5f}{top})"
        )


def percent(error: float) -> str:
    """A share in percent with two digits that count; what cannot be told is `nan`."""
    return "nan" if not np.isfinite(error) else f"{100 * error:.2g} %"


def agreement(answers: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> Agreement:
    """Compare the outputs, (N, ...) each, with those of the engine that is right, all finite."""
    errors, cosines = [], []
    for answer, right in zip(answers, expected, strict=True):
        if answer.shape != right.shape or not np.isfinite(answer).all():
            return Agreement(len(right), float("inf"), float("nan"))
        # Sums over a million numbers an image.
        given = answer.reshape(len(right), -1).astype("float64")
        wanted = right.reshape(len(right), -1).astype("float64")
        difference, size = float(np.linalg.norm(given - wanted)), float(np.linalg.norm(wanted))
        errors.append(difference / size if size else float("inf" if difference else 0))
        lengths = np.linalg.norm(given, axis=1) * np.linalg.norm(wanted, axis=1)
        products = (given * wanted).sum(axis=1)
        cosines.append(np.divide(products, lengths, out=np.ones_like(lengths), where=lengths > 0))
    return Agreement(
        images=len(expected[0]),
        error=max(errors),
        cosine=float(min(cosine.min() for cosine in cosines)),
        same_top=_same_top(answers[0], expected[0]) if len(expected) == 1 else None,
    )


def _same_top(answer: np.ndarray, right: np.ndarray) -> int | None:
    is_probability = right.ndim == 2 and (right >= 0).all()
    if not is_probability or not np.allclose(right.sum(axis=1), 1, atol=1e-3):
        return None
    return int((answer.argmax(axis=1) == right.argmax(axis=1)).sum())
