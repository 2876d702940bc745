"""A trained model opened for many answers: by its kept graph where there is one, else by Keras."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finegrain.device import gpu_is_likely
from finegrain.errors import by_product
from finegrain.frame import Frame
from finegrain.inference.kept_graph import KeptGraph, keep_graph
from finegrain.inference.opened import Inference
from finegrain.inference.openvino_engine import AskedPrecision, OpenVINOEngine
from finegrain.inference.predict import sample_images
from finegrain.regular_file import file_digest
from finegrain.runs.finished_run import FinishedRun
from finegrain.runs.rounded_answers import rounded
from finegrain.runs.run_folder import GRAPH, MODEL

if TYPE_CHECKING:
    import keras

# Places of the answers among the outputs.
PROBABILITIES, REPRESENTATION = 0, 1
# Facts of a kept graph, of the network that makes the representation.
WEIGHTS, NETWORK, WIDTH = "weights", "network", "width"
# Below so many pixels in all a GPU takes longer to start than it saves.
FEW_PIXELS = 12e6


def open_run(
    run: FinishedRun,
    paths: Sequence[Path],
    openvino: bool,
    views: int = 1,
    only: int | None = None,
    batch_size: int | None = None,
    inference: AskedPrecision | None = None,
) -> Inference:
    """A finished run opened for images in files: probabilities (B, C), `representation` (B, D).

    The graph that OpenVINO computes is kept in the run folder when it is first made, so that later
    answers are there without Keras, whose import takes longer than a few images.

    Args:
        paths: at least one.
        openvino: use OpenVINO where it is installed and pays.
        views: how many of each image will pass.
        only: the place of the one output that is wanted, which spares copies of a wide one; None
            for both, and both may come all the same.
        batch_size: images at a time, where a model is refused that cannot answer so many in the
            memory of this machine.
        inference: how precisely OpenVINO computes, see `rounded`; None as precisely as Keras.

    Raises:
        UserError: the model cannot answer here, or not in the precision asked for.
    """
    looks, outputs = len(paths) * views, None if only is None else [only]
    kept = kept_graph(run, openvino, looks)
    if kept is not None:
        faster = inference and rounded(run, kept.graph, inference, paths, looks, outputs)
        return faster or kept.open(outputs)
    model = run.model()
    if batch_size is not None:
        from finegrain.inference.opening import check_answers_fit
        from finegrain.models.classifier import classifier

        remedy = "lower --batch-size, or take a machine with more memory"
        check_answers_fit(classifier(model), min(batch_size, len(paths)), openvino, remedy)
    # Who names a precision wants it, however few images there are.
    enough = looks if inference in (None, "auto") else None
    opened = open_model(model, paths, run.frame, openvino, enough)
    if run.keeps_graph:
        keep_answers(run.folder, model, opened)
    if inference and isinstance(opened.compute, OpenVINOEngine):
        return rounded(run, opened.compute.graph, inference, paths, looks, outputs) or opened
    return opened


def kept_graph(run: FinishedRun, openvino: bool, looks: int) -> KeptGraph | None:
    """The graph that a run keeps of its model, if it shall answer for so many views of images."""
    height, width = run.frame.size
    on_gpu = gpu_is_likely() and looks * height * width > FEW_PIXELS
    if not openvino or not run.keeps_graph or on_gpu:
        return None
    return KeptGraph.find(run.folder / GRAPH, file_digest(run.folder / MODEL))


def open_model(
    model: "keras.Model",
    paths: Sequence[Path],
    frame: Frame,
    openvino: bool,
    looks: int | None,
) -> Inference:
    """A finished model opened for images in files, in full precision; see `open_run`.

    `looks` may be None where a graph is worth having however few images there are.
    """
    from finegrain.inference.opening import open_inference
    from finegrain.models.classifier import answering_model
    from finegrain.models.model_precision import in_full_precision

    answering = answering_model(model)
    if model.dtype_policy.compute_dtype != "float32":
        answering = in_full_precision(answering)
    return open_inference(answering, sample_images(paths, frame), openvino, looks)


def keep_answers(folder: Path, model: "keras.Model", opened: Inference) -> None:
    """Keep the graph of a run's model, opened by `open_model`, in its folder."""
    if not isinstance(opened.compute, OpenVINOEngine):
        return
    from finegrain.features.cut import network_digest
    from finegrain.models.backbone import weights_digest
    from finegrain.models.classifier import representing_model

    with by_product(f"{folder / GRAPH}, which lets answers start in a second,"):
        network = representing_model(model)
        facts = {
            WEIGHTS: weights_digest(network),
            NETWORK: network_digest(network),
            WIDTH: str(network.outputs[0].shape[-1]),
        }
        keep_graph(folder / GRAPH, file_digest(folder / MODEL), opened, facts)
