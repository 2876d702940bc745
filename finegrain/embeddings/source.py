"""What turns photographs into the embeddings of one exported file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finegrain.features.probe import Judged
from finegrain.frame import SQUEEZE, Fit, Frame
from finegrain.inference.opened import Inference
from finegrain.quiet import load_keras
from finegrain.runs.answering import NETWORK, REPRESENTATION, WEIGHTS, WIDTH, kept_graph
from finegrain.runs.finished_run import FinishedRun, open_finished_run

if TYPE_CHECKING:
    import keras

    from finegrain.models.backbone_table import BackboneSpec


@dataclass(frozen=True)
class EmbeddingSource:
    """A network whose embeddings are exported.

    Attributes:
        name: of the file, without suffix.
        title: the backbone as the older layout names it, e.g. `ResNet50`.
        frame: how a photograph becomes the network's input.
        width: D, numbers an embedding.
        weights, network: digests of the network's weights and layers.
        check: raises a `UserError` where a batch of so many images does not fit in memory, with
            OpenVINO or without.
        engine: what a `FeatureComputer` opens, with OpenVINO or without, for so many images, and
            how precisely.
        made_from: where the weights come from, as JSON values for the file's attributes.
    """

    name: str
    title: str
    frame: Frame
    width: int
    weights: str
    network: str
    check: Callable[[int, bool], None]
    engine: Callable[[bool, int, Judged | None], Callable[[np.ndarray], Inference]]
    made_from: Mapping[str, Any]


def network_source(
    name: str,
    title: str,
    network: "keras.Model",
    made_from: Mapping[str, Any],
    fit: Fit = SQUEEZE,
) -> EmbeddingSource:
    """The embeddings of a network: `image` (B, H, W, 3), RGB 0 to 255 -> list of one (B, D)."""
    from finegrain.features.cut import network_digest
    from finegrain.features.engine import engine_of
    from finegrain.inference.opening import check_answers_fit
    from finegrain.models.backbone import weights_digest

    def check(batch: int, openvino: bool) -> None:
        remedy = "take a smaller --image-size, or a machine with more memory"
        check_answers_fit(network, batch, openvino, remedy)

    _, height, width, _ = network.input_shape
    return EmbeddingSource(
        name,
        title,
        Frame(height, width, fit),
        int(network.outputs[0].shape[-1]),
        weights_digest(network),
        network_digest(network),
        check,
        lambda openvino, images, judged: engine_of(network, openvino, images, judged=judged),
        made_from,
    )


def pretrained_source(
    spec: "BackboneSpec", weights: str, image_size: int | None = None, seed: int = 0
) -> EmbeddingSource:
    """A backbone of the table with global average pooling.

    Args:
        weights: `imagenet`, `none` or a file, as for `build_backbone`.
        image_size: side of the input in pixels; None for the backbone's own.
        seed: of the fresh weights, where there are no others.
    """
    load_keras()
    import keras

    from finegrain.models.backbone import build_backbone
    from finegrain.models.classifier import image_embedding

    side = image_size or spec.image_size
    keras.utils.set_random_seed(seed)
    image, embedding = image_embedding(build_backbone(spec, weights, (side, side)), spec)
    network = keras.Model(image, [embedding], name="below")
    alpha = spec.arguments.get("alpha")
    title = spec.build.__name__ + (f"_{alpha}" if alpha else "")
    made_from = {"backbone": spec.name, "weights": weights}
    return network_source(spec.name, title, network, made_from)


def run_source(folder: Path, openvino: bool = True, images: int = 0) -> EmbeddingSource:
    """The embeddings of a run's finished model, of the layer that `representation` names.

    Args:
        folder: the run's, which names the source.
        openvino: take the graph that the run keeps of its model, if there is one.
        images: how many will be looked at.
    """
    run = open_finished_run(folder)
    name = folder.resolve().name
    made_from = {"run": folder.as_posix(), "recipe": run.recipe, "classes": len(run.classes)}
    kept = kept_graph(run, openvino, images)
    if kept is None or not {WEIGHTS, NETWORK, WIDTH} <= kept.about.facts.keys():
        return _loaded_source(run, name, made_from)
    facts = kept.about.facts
    return EmbeddingSource(
        name,
        name,
        run.frame,
        int(facts[WIDTH]),
        facts[WEIGHTS],
        facts[NETWORK],
        # OpenVINO takes a few images at a time.
        lambda batch, openvino: None,
        lambda openvino, images, judged: lambda sample: kept.open([REPRESENTATION]),
        made_from,
    )


def _loaded_source(run: FinishedRun, name: str, made_from: Mapping[str, Any]) -> EmbeddingSource:
    model = run.model()
    from finegrain.models.classifier import representing_model

    return network_source(name, name, representing_model(model), made_from, run.frame.fit)
