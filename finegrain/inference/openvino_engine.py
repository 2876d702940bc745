"""A graph that OpenVINO, Intel's inference engine, computes on a CPU; it needs no Keras."""

import contextlib
import math
import sys
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import openvino

INT8, BFLOAT16, FLOAT32 = "i8", "bf16", "f32"
PRECISION_NAMES = {INT8: "int8", BFLOAT16: "bfloat16", FLOAT32: "float32"}
# A quantized graph says itself what is computed in integers; this is for the rest of it.
HINTS = {INT8: FLOAT32}
# What a user may ask for; auto takes the fastest that is good enough.
AskedPrecision = Literal["auto", "int8", "bfloat16", "float32"]
REPORTER = "openvino_telemetry"

# Images a request, at most. Xception at 299 on two cores, images a second with 1, 2, 4, 8, 16:
# 16.4, 17.3, 23.2, 22.2, 22.4. Small requests also keep what lies between two layers in cache.
IMAGES_A_REQUEST = 4


@contextlib.contextmanager
def without_reports() -> Iterator[None]:
    """While OpenVINO, or a tool of its makers, is imported: nothing reports that it is used.

    The import sends a message, asking nobody, from a process forked off this one, although a fork
    of a process with threads may hang. They go without when the package that reports is absent, so
    it is made to look absent.
    """
    present = sys.modules.get(REPORTER)
    # Python's own way to say that an import shall fail.
    modules: dict[str, Any] = sys.modules
    modules[REPORTER] = None
    try:
        yield
    finally:
        del sys.modules[REPORTER]
        if present is not None:
            sys.modules[REPORTER] = present


def load_openvino() -> ModuleType:
    """The module `openvino`, which does not report its use."""
    if "openvino" not in sys.modules:
        with without_reports():
            import openvino
    import openvino

    return openvino


class OpenVINOEngine:
    """A converted model, compiled for the CPU in one of `PRECISION_NAMES`.

    OpenVINO computes several requests side by side, a stream of cores each (one request after
    the other would leave most cores idle), so a batch is cut among the streams. Its name tells
    version, precision and streams, e.g. `OpenVINO 2026.4, bfloat16, 2 streams`.

    Args:
        graph: from `converted`.
        precision: one of `PRECISION_NAMES`.
        outputs: places of the outputs that are wanted; None for all.
    """

    def __init__(
        self, graph: "openvino.Model", precision: str, outputs: Sequence[int] | None = None
    ):
        openvino = load_openvino()
        self.graph, self.precision = graph, precision
        how = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": HINTS.get(precision, precision),
        }
        compiled = openvino.Core().compile_model(graph, "CPU", how)
        self._outputs = range(len(compiled.outputs)) if outputs is None else outputs
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
        """The outputs, (B, ...) float32 each and in the model's order, of a batch (B, H, W, 3).

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
        return [answers[index] for index in self._outputs]

    def _keep(self, request: Any, place: tuple[int, int]) -> None:
        """Copy a request's outputs, which the next one overwrites, to their rows."""
        start, count = place
        for index in self._outputs:
            part = request.get_output_tensor(index).data
            with self._making:
                if index not in self._answers:
                    self._answers[index] = np.empty((count, *part.shape[1:]), dtype="float32")
            self._answers[index][start : start + len(part)] = part
