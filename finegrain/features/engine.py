"""What computes features of photographs: OpenVINO on a CPU where that pays, else Keras."""

import hashlib
from collections.abc import Callable

import keras
import numpy as np

from finegrain.errors import UserError, by_product, one_line
from finegrain.features.cut import network_digest
from finegrain.features.probe import Judged
from finegrain.inference.kept_graph import KeptGraph, keep_graph
from finegrain.inference.keras_engine import KerasEngine
from finegrain.inference.opened import Inference
from finegrain.inference.opening import open_inference
from finegrain.inference.openvino_engine import (
    BFLOAT16,
    INT8,
    PRECISION_NAMES,
    OpenVINOEngine,
)
from finegrain.inference.quantized import (
    REPAYING_PIXELS,
    can_quantize,
    check_can_quantize,
    faster_precisions,
    quantized,
)
from finegrain.models.backbone import weights_digest
from finegrain.models.model_precision import in_full_precision

BATCH = 32


def engine_of(
    below: keras.Model,
    openvino: bool,
    expected_images: int,
    bfloat16: bool = True,
    judged: Judged | None = None,
) -> Callable[[np.ndarray], Inference]:
    """What a `FeatureComputer` opens.

    Args:
        below: `image` (B, H, W, 3) -> list of features.
        openvino: use OpenVINO where it is installed and the device is a CPU.
        expected_images: how many will pass.
        bfloat16: let OpenVINO compute in bfloat16 where that agrees well with Keras.
        judged: for embeddings alone; None for features that layers above are trained on, which
            would learn the errors of their rounding too.
    """

    def opened(images: np.ndarray) -> Inference:
        mixed = openvino and below.dtype_policy.compute_dtype != "float32"
        # OpenVINO chooses its own precision, and is to be compared with the full one.
        whole = in_full_precision(below) if mixed else below
        if judged is not None and openvino and _is_worth(judged, images, expected_images):
            return _open_judged(whole, images, expected_images, judged)
        rounded = bfloat16 and (judged is None or judged.precision == "auto")
        inference = open_inference(whole, images, openvino, expected_images, rounded)
        if mixed and isinstance(inference.compute, KerasEngine):
            return open_inference(below, images, False, expected_images)
        return inference

    return opened


def _is_worth(judged: Judged, images: np.ndarray, expected_images: int) -> bool:
    if judged.precision == "auto":
        height, width = images.shape[1:3]
        return expected_images * height * width >= REPAYING_PIXELS
    return judged.precision != "float32"


def _open_judged(
    below: keras.Model, images: np.ndarray, expected_images: int, judged: Judged
) -> Inference:
    """The fastest engine that is good enough, or the one that was asked for."""
    file, digest = None, ""
    if judged.keep_in is not None:
        # Where NNCF has come since, it is judged again.
        how = f"{judged.precision} {can_quantize()}"
        content = f"{weights_digest(below)} {network_digest(below)} {how}"
        digest = hashlib.sha256(content.encode()).hexdigest()
        file = judged.keep_in / f"graph-{digest[:16]}.zip"
        kept = KeptGraph.find(file, digest)
        if kept is not None:
            return kept.open()
    # Who names a precision wants it, however few images there are.
    waiting = expected_images if judged.precision == "auto" else None
    whole = open_inference(below, images, True, waiting, bfloat16=False)
    if not isinstance(whole.compute, OpenVINOEngine):
        return whole
    try:
        chosen = _chosen(whole, whole.compute, judged)
    except RuntimeError as error:
        # OpenVINO's and NNCF's own.
        reason = f"{judged.precision} does not work ({one_line(error)})"
        return Inference(whole.compute, f"{whole.note}; {reason}")
    if file is not None:
        with by_product(f"{file}, which spares the next training its judgement,"):
            keep_graph(file, digest, chosen)
    return chosen


def _chosen(whole: Inference, float32: OpenVINOEngine, judged: Judged) -> Inference:
    if judged.precision == "bfloat16":
        return Inference(OpenVINOEngine(float32.graph, BFLOAT16), "as asked")
    probe = judged.probe()
    if judged.precision == "int8":
        check_can_quantize()
        if probe is None:
            raise UserError(
                "--inference int8 needs two classes of 4 images or more to be calibrated on; leave "
                "it out"
            )
        return Inference(OpenVINOEngine(quantized(float32.graph, probe.images), INT8), "as asked")
    if probe is None:
        return whole
    wanted = probe.score(_embedding(float32))
    worse = ""
    for precision in faster_precisions():
        graph = quantized(float32.graph, probe.images) if precision == INT8 else float32.graph
        engine = OpenVINOEngine(graph, precision)
        found = probe.score(_embedding(engine))
        name = PRECISION_NAMES[precision]
        if found.is_as_good_as(wanted):
            count = len(probe.images)
            note = f"on {count} photographs {found}, in float32 {wanted}{worse}"
            return Inference(engine, note)
        worse += f"; {name} is worse, {found}"
    return Inference(float32, f"{whole.note}{worse}, than {wanted}" if worse else whole.note)


def _embedding(engine: OpenVINOEngine) -> Callable[[np.ndarray], np.ndarray]:
    def embed(images: np.ndarray) -> np.ndarray:
        starts = range(0, len(images), BATCH)
        return np.concatenate([engine.run(images[start : start + BATCH])[0] for start in starts])

    return embed
