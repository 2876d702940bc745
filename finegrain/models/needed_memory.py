"""The least memory that a model takes, computed from the shapes of its layers and weights."""

import math
from collections.abc import Iterable, Iterator

import keras

from finegrain.errors import UserError
from finegrain.models.backbone import BACKBONE_LAYER
from finegrain.models.image_heads import COMPACT_WIDTH, ImageHead
from finegrain.tensor import Tensor

# Of a float32, and of a float16 or bfloat16.
NUMBER_BYTES, HALF_BYTES = 4, 2
# A weight, its gradient and Adam's two moments.
TRAINED_BYTES = 4 * NUMBER_BYTES
# The GPU that the recipes are sized for.
MEMORY_GB = 6.0
# Of the outputs of trained layers, which a compiler may fuse or compute a second time. With all
# layers trained, each image of a batch took 0.39 of them with MobileNetV2 on TensorFlow's CPU, 0.51
# on JAX's, and 0.65 with Xception: as the peak of a process that trains two steps tells.
SURELY_KEPT = 0.35


def least_training_bytes(model: keras.Model, boundary: int, batch: int, frozen_batch: int) -> float:
    """What training takes at the very least, on whatever backend, compiled or not.

    The weights, and the larger of two: the largest output of a layer that computes with weights,
    or what is surely kept of the trained layers' outputs, which their gradients are made of.

    The boundary is the index of the first backbone layer that is trained, their number to train
    none; `batch` images pass the trained layers at a time, `frozen_batch` the others.
    """
    frozen, trained = divided(model, boundary)
    return weight_bytes(model.weights) + max(
        frozen_batch * _largest_output(frozen),
        batch * _largest_output(trained),
        batch * SURELY_KEPT * sum(map(output_bytes, trained)),
    )


def least_answer_bytes(model: keras.Model, batch: int) -> float:
    """What answering with a model, or with a part of one, takes at the very least."""
    return weight_bytes(model.weights) + batch * _largest_output(_unfolded(model))


def divided(
    model: keras.Model, boundary: int
) -> tuple[list[keras.layers.Layer], list[keras.layers.Layer]]:
    """The layers below the boundary, and those from it on, the head's among them."""
    backbone = model.get_layer(BACKBONE_LAYER)
    head = model.layers[model.layers.index(backbone) + 1 :]
    return backbone.layers[:boundary], [*backbone.layers[boundary:], *head]


def _unfolded(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of the models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _unfolded(layer)
        else:
            yield layer


def _largest_output(layers: Iterable[keras.layers.Layer]) -> int:
    """Of those that are arrays of their own; other layers may be fused with their neighbours."""
    norm = keras.layers.BatchNormalization
    own = (layer for layer in layers if layer.weights and not isinstance(layer, norm))
    return max(map(output_bytes, own), default=0)


def output_bytes(layer: keras.layers.Layer) -> int:
    """Bytes of a layer's output for one image."""
    return sum(map(tensor_bytes, keras.tree.flatten(layer.output)))


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes of a Keras tensor for one image."""
    each = HALF_BYTES if str(tensor.dtype).endswith("16") else NUMBER_BYTES
    return math.prod(tensor.shape[1:]) * each


def weight_bytes(weights: Iterable[keras.Variable]) -> int:
    """Bytes of float32 weights."""
    return sum(NUMBER_BYTES * math.prod(weight.shape) for weight in weights)


def embedding_width(head: ImageHead, channels: int) -> int:
    """Numbers in the embedding D that a head makes of C channels."""
    return {"outer": channels**2, "sketch": head.compact}.get(head.pooling, channels)


def dense_weights(head: ImageHead, channels: int, outputs: int) -> int:
    """Weights and biases of the first Dense layer, `outputs` wide, on the embedding."""
    return (embedding_width(head, channels) + 1) * outputs


def check_head_fits(
    head: ImageHead, channels: int, outputs: int, memory_gb: float = MEMORY_GB
) -> None:
    """Refuse a head whose first Dense layer, `outputs` wide, alone fills the memory in training.

    The memory is that of the device that trains, 1 GB = 10^9 bytes. The `UserError` says the
    size, and what to take instead.
    """
    count = dense_weights(head, channels, outputs)
    needed = count * TRAINED_BYTES / 1e9
    if needed <= memory_gb:
        return
    width = embedding_width(head, channels)
    what = f"{channels} x {channels} = {width:,}" if head.pooling == "outer" else f"{width:,}"
    small = min(COMPACT_WIDTH, int(memory_gb * 1e9 / TRAINED_BYTES / outputs / 2))
    raise UserError(
        f"the head {head.name} makes {what} numbers of an image, on which a Dense layer of "
        f"{outputs} has {count:,} weights and takes {needed:.1f} GB to train, above the "
        f"{memory_gb:g} GB given; take --head compact_bilinear, or --compact N for another width "
        f"than {COMPACT_WIDTH}, such as {small}"
    )
