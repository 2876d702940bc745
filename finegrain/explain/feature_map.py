"""A model cut at its last feature map, where places in the picture are still told apart."""

import keras
from keras import ops

from finegrain.models.backbone import BACKBONE_LAYER
from finegrain.tensor import Tensor


def below_map(model: keras.Model) -> keras.Model:
    """`image` (B, H, W, 3), RGB 0 to 255 -> (B, h, w, D) feature map of the backbone."""
    return keras.Model(model.get_layer("image").output, _map_tensor(model), name="below_map")


def above_map(model: keras.Model, layer: str) -> keras.Model:
    """Feature map (B, h, w, D) -> output of a layer that stands on nothing but the map."""
    return keras.Model(_map_tensor(model), model.get_layer(layer).output, name=f"map_to_{layer}")


def logits_above_map(model: keras.Model, layer: str) -> "Logits":
    """Feature map (B, h, w, D) -> a Dense layer's numbers before its softmax."""
    dense = model.get_layer(layer)
    return Logits(keras.Model(_map_tensor(model), dense.input), dense)


class Logits:
    """What a Dense layer computes before its activation.

    A softmax ties all classes together, and one that is sure has no gradient left.

    Args:
        before: model that ends where `dense` begins; None where callers give its input.
        dense: the layer.
    """

    def __init__(self, before: keras.Model | None, dense: keras.layers.Dense):
        self.before = before
        self.dense = dense

    def __call__(self, inputs: Tensor) -> Tensor:
        """(B, C) logits."""
        inputs = inputs if self.before is None else self.before(inputs, training=False)
        logits = ops.matmul(ops.cast(inputs, "float32"), ops.cast(self.dense.kernel, "float32"))
        return logits if self.dense.bias is None else logits + self.dense.bias


def _map_tensor(model: keras.Model) -> Tensor:
    """The backbone's output as the model's other layers take it."""
    backbone = model.get_layer(BACKBONE_LAYER)
    for layer in model.layers:
        if layer is backbone:
            continue
        # A nested model's own `output` is the tensor inside it, so its takers are asked.
        for tensor in keras.tree.flatten(layer.input):
            if tensor._keras_history.operation is backbone:
                return tensor
    raise ValueError(f"no layer of {model.name!r} takes the output of {BACKBONE_LAYER!r}")
