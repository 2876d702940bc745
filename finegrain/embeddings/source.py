"""What turns photographs into the embeddings of one exported file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from finegrain.frame import SQUEEZE, Fit, Frame
from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.classifier import image_embedding, representation
from finegrain.runs.finished_run import open_finished_run


@dataclass(frozen=True)
class EmbeddingSource:
    """A network whose embeddings are exported.

    Attributes:
        name: of the file, without suffix.
        title: the backbone as the older layout names it, e.g. `ResNet50`.
        network: `image` (B, H, W, 3), RGB 0 to 255 -> list of one embedding (B, D).
        made_from: where the weights come from, as JSON values for the file's attributes.
        fit: how photographs become the network's squares.
    """

    name: str
    title: str
    network: keras.Model
    made_from: Mapping[str, Any]
    fit: Fit = SQUEEZE

    @property
    def frame(self) -> Frame:
        """How a photograph becomes the network's input."""
        _, height, width, _ = self.network.input_shape
        return Frame(height, width, self.fit)

    @property
    def width(self) -> int:
        """D, numbers an embedding."""
        return int(self.network.outputs[0].shape[-1])


def pretrained_source(
    spec: BackboneSpec, weights: str, image_size: int | None = None, seed: int = 0
) -> EmbeddingSource:
    """A backbone of the table with global average pooling.

    Args:
        weights: `imagenet`, `none` or a file, as for `build_backbone`.
        image_size: side of the input in pixels; None for the backbone's own.
        seed: of the fresh weights, where there are no others.
    """
    side = image_size or spec.image_size
    keras.utils.set_random_seed(seed)
    image, embedding = image_embedding(build_backbone(spec, weights, (side, side)), spec)
    network = keras.Model(image, [embedding], name="below")
    alpha = spec.arguments.get("alpha")
    title = spec.build.__name__ + (f"_{alpha}" if alpha else "")
    return EmbeddingSource(spec.name, title, network, {"backbone": spec.name, "weights": weights})


def model_source(
    name: str, model: keras.Model, made_from: Mapping[str, Any], fit: Fit = SQUEEZE
) -> EmbeddingSource:
    """The embeddings of a trained model, of the layer that `representation` names."""
    output = model.get_layer(representation(model)).output
    network = keras.Model(model.get_layer("image").output, [output], name="below")
    return EmbeddingSource(name, name, network, made_from, fit)


def run_source(folder: Path) -> EmbeddingSource:
    """The embeddings of a run's finished model, named by its folder."""
    run = open_finished_run(folder)
    made_from = {"run": folder.as_posix(), "recipe": run.recipe, "classes": len(run.classes)}
    return model_source(folder.resolve().name, run.model(), made_from, run.frame.fit)
