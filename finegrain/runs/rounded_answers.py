"""A run's answers in 8-bit integers or bfloat16, where many images wait and it errs no more often.

How far probabilities are off says little of that. They are judged by the run's own validation
images, beside its answers in float32.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from finegrain.decode import UnreadableImage, read_pixels
from finegrain.errors import UserError, by_product, one_line
from finegrain.frame import Frame
from finegrain.inference.kept_graph import KeptGraph, keep_graph
from finegrain.inference.opened import Inference
from finegrain.inference.openvino_engine import (
    BFLOAT16,
    FLOAT32,
    INT8,
    PRECISION_NAMES,
    AskedPrecision,
    OpenVINOEngine,
)
from finegrain.inference.predict import sample_images
from finegrain.inference.quantized import (
    CALIBRATION_IMAGES,
    REPAYING_PIXELS,
    can_quantize,
    check_can_quantize,
    faster_precisions,
    quantized,
)
from finegrain.regular_file import file_digest
from finegrain.runs.finished_run import FinishedRun
from finegrain.runs.run_folder import MODEL, ROUNDED_GRAPH, open_run_data

if TYPE_CHECKING:
    import openvino

# Validation images to judge by: fewer than the least tell nothing.
LEAST_IMAGES, MOST_IMAGES = 100, 400
# How much worse than in float32 rounded answers may be. On 200 images two more mistakes are 0.01.
WORSE_ERROR, WORSE_LOG_LOSS = 0.01, 0.02
BATCH = 32


class AnswerScore(NamedTuple):
    """How good probabilities are: top-1 error and mean cross-entropy."""

    error: float
    log_loss: float

    def is_as_good_as(self, other: "AnswerScore") -> bool:
        """Whether it is worse by no more than the tolerances."""
        return (
            self.error <= other.error + WORSE_ERROR
            and self.log_loss <= other.log_loss + WORSE_LOG_LOSS
        )

    def __str__(self) -> str:
        return f"error {self.error:.3f}, log loss {self.log_loss:.3f}"


class Known(NamedTuple):
    """Images (N, H, W, 3) uint8 whose classes (N,) are known."""

    images: np.ndarray
    labels: np.ndarray

    def score(self, engine: OpenVINOEngine) -> AnswerScore:
        """Judge a model whose first output is probabilities (B, C)."""
        starts = range(0, len(self.images), BATCH)
        batches = (self.images[start : start + BATCH] for start in starts)
        answers = np.concatenate([engine.run(batch)[0] for batch in batches])
        true = answers[np.arange(len(answers)), self.labels].astype(np.float64)
        losses = -np.log(np.maximum(true, np.finfo(np.float32).tiny))
        return AnswerScore(float((answers.argmax(axis=1) != self.labels).mean()), losses.mean())


def rounded(
    run: FinishedRun,
    graph: "openvino.Model",
    asked: AskedPrecision,
    paths: Sequence[Path],
    looks: int,
    only: Sequence[int] | None = None,
) -> Inference | None:
    """The run's graph opened in the precision asked for; None to take it as it was kept.

    `auto` judges 8-bit integers, which need NNCF, and bfloat16 where the time that takes is repaid,
    and takes the first that is as good as float32. A judgement is kept in the run folder.

    Args:
        graph: the model as OpenVINO computes it in float32; its first output are probabilities.
        paths: images that are to be answered, one at least.
        looks: how many views of them.
        only: places of the outputs that are wanted; None for all.

    Raises:
        UserError: 8-bit integers are asked for, and NNCF is not installed.
    """
    height, width = run.frame.size
    if asked == "auto" and looks * height * width < REPAYING_PIXELS:
        return None
    if asked in ("float32", "bfloat16"):
        precision = FLOAT32 if asked == "float32" else BFLOAT16
        return Inference(OpenVINOEngine(graph, precision, only), "as asked")
    if asked == "int8":
        check_can_quantize()
    # Where NNCF has come since, it is judged again.
    content = f"{file_digest(run.folder / MODEL)} {asked} {can_quantize()}"
    digest = hashlib.sha256(content.encode()).hexdigest()
    kept = KeptGraph.find(run.folder / ROUNDED_GRAPH, digest) if run.keeps_graph else None
    if kept is not None:
        return kept.open(only)
    try:
        chosen = _chosen(run, graph, asked, paths)
    except RuntimeError as error:
        # OpenVINO's and NNCF's own.
        print(f"notice  {asked} does not work ({one_line(error)})", flush=True)
        return None
    if chosen is None:
        return None
    if run.keeps_graph:
        with by_product(f"{run.folder / ROUNDED_GRAPH}, which spares the next answers this,"):
            keep_graph(run.folder / ROUNDED_GRAPH, digest, chosen)
    assert isinstance(chosen.compute, OpenVINOEngine)
    return Inference(
        OpenVINOEngine(chosen.compute.graph, chosen.compute.precision, only), chosen.note
    )


def _chosen(
    run: FinishedRun, graph: "openvino.Model", asked: AskedPrecision, paths: Sequence[Path]
) -> Inference | None:
    known = _known_images(run)
    if asked == "int8":
        pictures = sample_images(paths, run.frame, CALIBRATION_IMAGES)
        images = pictures if known is None else known.images
        return Inference(OpenVINOEngine(quantized(graph, images), INT8), "as asked")
    precisions = faster_precisions()
    if known is None or not precisions:
        return None
    float32 = OpenVINOEngine(graph, FLOAT32)
    wanted, worse = known.score(float32), ""
    for precision in precisions:
        faster = quantized(graph, known.images) if precision == INT8 else graph
        engine = OpenVINOEngine(faster, precision)
        found = known.score(engine)
        if found.is_as_good_as(wanted):
            note = f"on {len(known.images)} validation images {found}, in float32 {wanted}{worse}"
            return Inference(engine, note)
        worse += f"; {PRECISION_NAMES[precision]} is worse, {found}"
    return Inference(float32, f"on {len(known.images)} validation images {wanted}{worse}")


def _known_images(run: FinishedRun) -> Known | None:
    """Validation images of the run's data set; None where it is gone or they are too few."""
    try:
        data = open_run_data(run.folder)
    except UserError:
        return None
    if "valid" not in data.splits:
        return None
    paths, labels = data.paths("valid"), data.labels("valid")
    drawn = np.random.default_rng(0).permutation(len(paths))[:MOST_IMAGES]
    read = [(_pixels(paths[index], run.frame), labels[index]) for index in drawn]
    sound = [(pixels, label) for pixels, label in read if pixels is not None]
    if len(sound) < LEAST_IMAGES:
        return None
    images, classes = zip(*sound, strict=True)
    return Known(np.stack(images), np.array(classes))


def _pixels(path: Path, frame: Frame) -> np.ndarray | None:
    try:
        return read_pixels(path, frame)
    except UnreadableImage:
        return None
