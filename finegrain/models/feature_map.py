"""What stands between a training model's backbone and its embedding."""

import keras

from finegrain.models.backbone import BACKBONE_LAYER
from finegrain.models.classifier import EMBEDDING


def feature_map(model: keras.Model):
    """The backbone's output (B, h, w, D) as a Keras tensor inside a training model."""
    backbone = model.get_layer(BACKBONE_LAYER)
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        for tensor in keras.tree.flatten(layer.input):
            # `backbone.output` is that of its own graph; Keras names no other way to its calls.
            if tensor._keras_history.operation is backbone:
                return tensor
    raise ValueError(f"`model` takes nothing from its backbone. Received: model={model.name}")


def head_stands_still(model: keras.Model) -> bool:
    """Whether all layers from feature map to embedding do the same in every epoch.

    Such are pooling and an outer product; a convolution learns, a Dropout is drawn anew.
    """
    head = keras.Model(feature_map(model), model.get_layer(EMBEDDING).output)
    return not any(_changes(layer) for layer in head._flatten_layers(include_self=False))


def _changes(layer: keras.layers.Layer) -> bool:
    random = getattr(layer, "seed_generator", None) is not None
    moving = isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    return bool(layer.trainable_variables) or random or moving
