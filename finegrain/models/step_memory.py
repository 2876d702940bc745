"""Memory that a training step is likely to take, computed from a model's layers and weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import layers

from finegrain.models.backbone import BACKBONE_LAYER
from finegrain.models.needed_memory import divided, output_bytes, tensor_bytes, weight_bytes
from finegrain.tensor import Tensor

# What a process takes before the first weight: on a GPU the CUDA context and cuDNN's workspace, on
# a CPU Python, Keras and TensorFlow.
CONTEXT_BYTES = 0.9e9
# Of each layer in the step's graph, forward and backward.
GRAPH_BYTES = 1e6
# Numbers an optimizer keeps for each weight, and those it makes on the way to a weight's update,
# one weight after the other.
MOMENTS = {"sgd": 1, "adam": 2, "adamw": 2, "nadam": 2}
PASSING = {"sgd": 1, "adam": 3, "adamw": 3, "nadam": 3}
# Activations whose gradient is made of what they gave; that of others is made of what they got.
BY_OUTPUT = {"relu", "relu6", "sigmoid", "softmax", "tanh"}
# Layers whose gradient needs neither.
LINEAR = (
    layers.Add,
    layers.AveragePooling2D,
    layers.Concatenate,
    layers.Cropping2D,
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.InputLayer,
    layers.Normalization,
    layers.Rescaling,
    layers.Reshape,
    layers.ZeroPadding2D,
)


@dataclass(frozen=True)
class StepMemory:
    """Bytes that training steps are likely to take.

    Attributes:
        fixed: whatever the batch.
        passing: what an image takes while it passes the layers that do not learn.
        kept: what an image takes in the layers that learn.
    """

    fixed: float
    passing: float
    kept: float

    def at(self, batch: int, frozen_batch: int | None = None) -> float:
        """For batches of so many images; `frozen_batch` pass the frozen layers, else all of them.

        The frozen layers answer before the others learn.
        """
        return self.fixed + max((frozen_batch or batch) * self.passing, batch * self.kept)

    def largest_batch(self, most: float, frozen_batch: int | None = None) -> int:
        """Images of the largest batch within so many bytes; 0 if there is none."""
        if frozen_batch is None:
            return max(0, int((most - self.fixed) / max(self.passing, self.kept)))
        if self.at(0, frozen_batch) > most:
            return 0
        return int((most - self.fixed) / self.kept)


def step_memory(
    model: keras.Model,
    boundary: int,
    optimizer: str,
    *,
    train_batch_norm: bool = False,
    averaged: bool = False,
) -> StepMemory:
    """The memory that training a model takes, computed from its layers' and weights' shapes.

    There are the weights, and of those that learn a gradient, the optimizer's moments and, for
    the largest of them, the numbers of its update. An image adds what the backward pass needs of
    the layers that learn, and the largest neighbouring pair of gradients beside it; of the layers
    below the boundary only neighbours live at a time, three of them as measured: the largest.

    Within a tenth of the peaks of processes that trained two steps on TensorFlow's CPU, where a
    backbone learnt as a whole; see `benchmarks/gpu_memory.py --measure`.

    Args:
        model: a training model of a backbone and what stands on it.
        boundary: index of the first backbone layer that learns; their number where none does.
        optimizer: sgd, adam, adamw or nadam.
        train_batch_norm: whether BatchNormalization learns from the boundary on.
        averaged: whether an average of the weights is kept beside them.
    """
    backbone = model.get_layer(BACKBONE_LAYER)
    frozen, trained = divided(model, boundary)

    def learns(layer: keras.layers.Layer) -> bool:
        is_norm = isinstance(layer, layers.BatchNormalization) and layer in backbone.layers
        return train_batch_norm or not is_norm

    sizes = [
        weight_bytes([weight]) for each in trained if learns(each) for weight in _learning(each)
    ]
    copies = 1 + MOMENTS[optimizer] + averaged
    fixed = CONTEXT_BYTES + GRAPH_BYTES * len(backbone.layers) + weight_bytes(model.weights)
    fixed += copies * sum(sizes) + PASSING[optimizer] * max(sizes, default=0)
    # By identity, since what one layer gives and the next one needs is kept once.
    kept = {
        id(each): tensor_bytes(each) for layer in trained for each in _kept(layer, learns(layer))
    }
    inner = sum(_inner_bytes(layer) for layer in trained)
    passing = [output_bytes(layer) + _inner_bytes(layer) for layer in frozen]
    given = [output_bytes(layer) for layer in trained]
    return StepMemory(
        fixed, _most_alive(passing, 3), sum(kept.values()) + inner + _most_alive(given, 2)
    )


def _learning(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The weights of a layer that learns, whatever is frozen at the moment."""
    if isinstance(layer, layers.BatchNormalization):
        return [each for each in (layer.gamma, layer.beta) if each is not None]
    return layer.weights


def _kept(layer: keras.layers.Layer, learns: bool) -> list[Tensor]:
    """What a layer's backward pass needs of the forward pass: Keras tensors, of one image."""
    got, gave = (keras.tree.flatten(each) for each in (layer.input, layer.output))
    if isinstance(layer, LINEAR):
        return []
    if isinstance(layer, layers.BatchNormalization):
        return got if learns else []
    if isinstance(layer, layers.Dropout):
        # A mask of the same size.
        return gave if layer.rate else []
    name = _activation(layer)
    if isinstance(layer, layers.Activation | layers.ReLU | layers.Softmax):
        return gave if name in BY_OUTPUT else got
    if layer.weights and name == "linear":
        return got
    return [*got, *gave]


def _activation(layer: keras.layers.Layer) -> str:
    """Name of the function that ends a layer."""
    if isinstance(layer, layers.ReLU | layers.Softmax):
        return "relu"
    return getattr(getattr(layer, "activation", None), "__name__", "")


def _inner_bytes(layer: keras.layers.Layer) -> int:
    """Of what stands between the two convolutions of a separable one."""
    if not isinstance(layer, layers.SeparableConv2D):
        return 0
    places = tensor_bytes(layer.output) // layer.output.shape[-1]
    return places * layer.input.shape[-1] * layer.depth_multiplier


def _most_alive(sizes: Sequence[int], count: int) -> int:
    """The largest sum of so many neighbours."""
    windows = range(max(1, len(sizes) - count + 1))
    return max(sum(sizes[start : start + count]) for start in windows)
