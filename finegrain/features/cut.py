"""Cut a training model in two: what stands still, and what learns."""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from finegrain.models.backbone import BACKBONE_LAYER
from finegrain.models.classifier import embedder
from finegrain.models.heads import EMBEDDING
from finegrain.models.image_heads import feature_map
from finegrain.stores.row_layout import FEATURE_DTYPE, RowKind
from finegrain.tensor import Tensor

ACTIVATION, BACKBONE_MAP = "activation", "backbone_map"


@dataclass(frozen=True, kw_only=True)
class Below:
    """The part of a model that stands still.

    Attributes:
        below: `image` (B, H, W, 3), RGB 0 to 255 -> list of features, one for each kind.
        kinds: name of a feature -> shape and dtype it is stored with.
        name: of the place: `embedding`, `backbone_map`, or `activation` inside the backbone.
        boundary: index of the first backbone layer above it; None above the backbone.
    """

    below: keras.Model
    kinds: dict[str, RowKind]
    name: str
    boundary: int | None = None


@dataclass(frozen=True, kw_only=True)
class Cut(Below):
    """A training model as two models that share its layers.

    Attributes:
        above: dict of the features by kind, and of what the training model takes beside the
            image -> the training model's outputs. Holds all that is trained.
    """

    above: keras.Model


def below_the_mean(model: keras.Model) -> Below:
    """As far as the mean of the feature map, the plain embedding, whatever head the model has."""
    features = feature_map(model)
    mean = keras.layers.GlobalAveragePooling2D(dtype="float32", name=EMBEDDING)(features)
    below = keras.Model(model.get_layer("image").output, [mean], name="below")
    kinds = {EMBEDDING: RowKind((int(mean.shape[-1]),), FEATURE_DTYPE)}
    return Below(below=below, kinds=kinds, name=EMBEDDING)


def below_with_mean(model: keras.Model, cut: Cut) -> Below:
    """As far as the mean of the feature map, and what passes a cut inside the backbone beside it.

    The mean is the first of the features.
    """
    backbone = model.get_layer(BACKBONE_LAYER)
    assert cut.boundary is not None
    tensors = _crossing(backbone, cut.boundary)
    image = keras.Input(model.get_layer("image").output.shape[1:], name="image")
    pixels = model.get_layer("preprocess")(image)
    *passing, top = keras.Model(backbone.input, [*tensors, backbone.output])(pixels)
    mean = keras.layers.GlobalAveragePooling2D(dtype="float32", name=EMBEDDING)(top)
    below = keras.Model(image, [mean, *passing], name="below")
    kinds = {EMBEDDING: RowKind((int(mean.shape[-1]),), FEATURE_DTYPE), **cut.kinds}
    return Below(below=below, kinds=kinds, name=EMBEDDING)


def cut_above_backbone(model: keras.Model) -> Cut:
    """Cut where the least passes, for a stage that trains nothing of the backbone.

    At the embedding, unless what makes it from the feature map learns too, or it is the larger
    one, as the outer product of a bilinear head is.
    """
    numbers = math.prod(feature_map(model).shape[1:])
    if _head_stands_still(model) and model.get_layer(EMBEDDING).output.shape[-1] <= numbers:
        return cut_at_embedding(model)
    return cut_at_feature_map(model)


def cut_at_embedding(model: keras.Model) -> Cut:
    """Cut between the embedding and the heads on it."""
    return _cut_at(model, EMBEDDING, embedder(model).output)


def cut_at_feature_map(model: keras.Model) -> Cut:
    """Cut between the backbone and all that stands on it."""
    return _cut_at(model, BACKBONE_MAP, feature_map(model))


def _head_stands_still(model: keras.Model) -> bool:
    """Whether the embedding of a feature map is the same in every epoch.

    After pooling it is; a convolution learns, a Dropout is drawn anew.
    """
    head = keras.Model(feature_map(model), model.get_layer(EMBEDDING).output)
    return not any(
        layer.trainable_variables
        or getattr(layer, "seed_generator", None)
        or isinstance(layer, keras.layers.BatchNormalization)
        for layer in head._flatten_layers(include_self=False)
    )


def _cut_at(model: keras.Model, name: str, tensor: Tensor) -> Cut:
    shape = tuple(tensor.shape[1:])
    inputs = {name: keras.Input(shape, name=name)}
    outputs = _outputs(model, tensor, inputs[name], inputs)
    below = keras.Model(model.get_layer("image").output, [tensor], name="below")
    above = keras.Model(inputs, outputs, name=model.name)
    kinds = {name: RowKind(shape, FEATURE_DTYPE)}
    return Cut(below=below, above=above, kinds=kinds, name=name)


def cut_at_boundary(model: keras.Model, first_trainable: int) -> Cut | None:
    """Cut inside the backbone, for a stage that trains its last blocks.

    Layers without weights that stand just above the boundary may go below it, where that makes
    fewer or smaller features: cutting Xception at layer 105 proper would take two tensors a
    photograph, one layer further it takes one. None where nothing stands below the first
    trainable layer, whose index in the backbone is given.
    """
    backbone = model.get_layer(BACKBONE_LAYER)
    boundary = _smallest_crossing(backbone, first_trainable)
    tensors = _crossing(backbone, boundary)
    if boundary <= 1 or not tensors:
        return None
    image = keras.Input(model.get_layer("image").output.shape[1:], name="image")
    pixels = model.get_layer("preprocess")(image)
    features = keras.Model(backbone.input, tensors)(pixels)
    below = keras.Model(image, features, name="below")
    inputs = {
        f"{ACTIVATION}_{number}": keras.Input(tensor.shape[1:], name=f"{ACTIVATION}_{number}")
        for number, tensor in enumerate(tensors)
    }
    upper = _part(backbone, tensors)(list(inputs.values()))
    kinds = {name: RowKind(tuple(entry.shape[1:]), FEATURE_DTYPE) for name, entry in inputs.items()}
    outputs = _outputs(model, feature_map(model), upper, inputs)
    above = keras.Model(inputs, outputs, name=model.name)
    return Cut(below=below, above=above, kinds=kinds, name=ACTIVATION, boundary=boundary)


def network_digest(below: keras.Model, boundary: int | None = None) -> str:
    """SHA-256 over the layers below a cut, but for their names, which differ by process."""
    layers = [
        [type(layer).__name__, _without_names(layer.get_config())]
        for layer in below._flatten_layers(include_self=False)
        if not hasattr(layer, "layers")
    ]
    content = json.dumps([boundary, layers], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _without_names(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _without_names(value) for key, value in config.items() if key != "name"}
    return config


def _outputs(
    model: keras.Model, tensor: Tensor, replaced_by: Tensor, inputs: dict[str, Tensor]
) -> Any:
    """The training model's outputs with a tensor replaced; `inputs` gets what else it takes."""
    taken, given = [tensor], [replaced_by]
    for name, entry in model.input.items() if isinstance(model.input, dict) else ():
        if name != "image":
            inputs[name] = keras.Input(entry.shape[1:], dtype=entry.dtype, name=name)
            taken.append(entry)
            given.append(inputs[name])
    # call(), not the part itself: its layers then belong to the new model directly, so losses
    # and metrics keep the names of the heads.
    return _part(model, taken).call(given)


def _part(model: keras.Model, tensors: list[Tensor]) -> keras.Model:
    """What a model makes of tensors inside it, by the same layers.

    The layers are called once more, on inputs of their own: for a model from tensors inside a
    graph Keras rewrites the history of every Input among them, and the model that the Input
    belongs to can no longer be saved.
    """
    inputs = keras.tree.map_structure(
        lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name),
        model.input,
    )
    tensors, outputs = keras.Model(model.input, [tensors, model.output]).call(inputs)
    return keras.Model(tensors, outputs)


def _smallest_crossing(backbone: keras.Model, first_trainable: int) -> int:
    def size(boundary: int) -> int:
        return sum(int(np.prod(tensor.shape[1:])) for tensor in _crossing(backbone, boundary))

    candidates = [first_trainable]
    for layer in backbone.layers[first_trainable:-1]:
        if layer.trainable_variables:
            break
        candidates.append(candidates[-1] + 1)
    return min(candidates, key=lambda boundary: (size(boundary), -boundary))


def _crossing(backbone: keras.Model, boundary: int) -> list[Tensor]:
    """Outputs of layers below the boundary that layers above it take."""
    below, above = backbone.layers[:boundary], backbone.layers[boundary:]
    made = {id(tensor) for layer in below for tensor in keras.tree.flatten(layer.output)}
    taken = [tensor for layer in above for tensor in keras.tree.flatten(layer.input)]
    return list({id(tensor): tensor for tensor in taken if id(tensor) in made}.values())
