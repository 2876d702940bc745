"""Memory that a model's steps take, computed from the shapes of its layers."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import keras

from finegrain.models.backbone import BACKBONE_LAYER

# Of a float32, and of a float16 or bfloat16.
NUMBER_BYTES, HALF_BYTES = 4, 2
# Numbers an optimizer keeps for each weight.
MOMENTS = {"sgd": 1, "adam": 2}
# The CUDA context and cuDNN's workspace.
CONTEXT_BYTES = 0.8e9
# Of the outputs of trained layers, which a compiler may fuse or compute a second time. With all
# layers trained, each image of a batch took 0.39 of them with MobileNetV2 on TensorFlow's CPU, 0.51
# on JAX's, and 0.65 with Xception: as the peak of a process that trains two steps tells.
SURELY_KEPT = 0.35


def step_bytes(model: keras.Model, boundary: int, optimizer: str) -> tuple[float, float]:
    """What a training step on a GPU is likely to take.

    Float32 weights, the optimizer's and the gradients' share of the trained ones, and
    activations: below the first trained layer only the largest neighbouring pair lives at a time,
    above it every layer's output is kept for the backward pass, and the largest neighbouring pair
    of their gradients beside them.

    Args:
        model: training model.
        boundary: index of the first backbone layer that is trained.
        optimizer: `sgd` or `adam`.

    Returns:
        Bytes that weights and context take, and bytes that each image of a batch adds.
    """
    frozen, trained = _divided(model, boundary)
    kept, passing = list(map(_output_bytes, trained)), list(map(_output_bytes, frozen))
    learning = sum(_weight_bytes(layer.trainable_weights) for layer in trained)
    fixed = CONTEXT_BYTES + _weight_bytes(model.weights) + (1 + MOMENTS[optimizer]) * learning
    each = max(_largest_pair(passing), sum(kept) + _largest_pair(kept) + sum(passing[-1:]))
    return fixed, each


def least_training_bytes(model: keras.Model, boundary: int, batch: int, frozen_batch: int) -> float:
    """What training takes at the very least, on whatever backend, compiled or not.

    The weights, and the larger of two: the largest output of a layer that computes with weights,
    or what is surely kept of the trained layers' outputs, which their gradients are made of.

    Args:
        model: training model.
        boundary: index of the first backbone layer that is trained; their number to train none.
        batch: images that pass the trained layers at a time.
        frozen_batch: images that pass the others at a time.
    """
    frozen, trained = _divided(model, boundary)
    return _weight_bytes(model.weights) + max(
        frozen_batch * _largest_output(frozen),
        batch * _largest_output(trained),
        batch * SURELY_KEPT * sum(map(_output_bytes, trained)),
    )


def least_answer_bytes(model: keras.Model, batch: int) -> float:
    """What answering takes at the very least.

    Args:
        model: whose answers are asked for, or a part of it.
        batch: images at a time.
    """
    return _weight_bytes(model.weights) + batch * _largest_output(_unfolded(model))


def _divided(
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


def _computing(layers: Iterable[keras.layers.Layer]) -> list[keras.layers.Layer]:
    """Layers whose output is an array of its own; others may be fused with their neighbours."""
    return [
        layer
        for layer in layers
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
    ]


def _largest_output(layers: Iterable[keras.layers.Layer]) -> int:
    return max(map(_output_bytes, _computing(layers)), default=0)


def _output_bytes(layer: keras.layers.Layer) -> int:
    """Bytes of a layer's output for one image."""
    numbers = sum(math.prod(tensor.shape[1:]) for tensor in keras.tree.flatten(layer.output))
    return numbers * (HALF_BYTES if layer.compute_dtype.endswith("16") else NUMBER_BYTES)


def _weight_bytes(weights: Iterable[keras.Variable]) -> int:
    return sum(NUMBER_BYTES * math.prod(weight.shape) for weight in weights)


def _largest_pair(sizes: Sequence[int]) -> int:
    """The largest sum of two neighbours."""
    return max((a + b for a, b in pairwise(sizes)), default=sum(sizes))
