"""Gradients on any backend of Keras: the one place that knows how each of them differentiates."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras
import numpy as np
from keras import ops

from finegrain.tensor import Tensor

Score: TypeAlias = Callable[..., Tensor]


def gradients(score: Score, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Gradients of a number with respect to each of several float32 arrays.

    The score is a function of as many tensors, made of `keras.ops` and layers in inference mode,
    and gives a tensor whose sum is differentiated. Rows of a batch that do not meet in it have each
    the gradient of their own score. Zeros where the score does not depend on an array.
    """
    found = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    tensors = [ops.convert_to_tensor(value, dtype="float32") for value in values]
    return [np.asarray(ops.convert_to_numpy(slope)) for slope in found(score, tensors)]


def _tensorflow(score: Score, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    import tensorflow

    with tensorflow.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        total = ops.sum(score(*tensors))
    return tape.gradient(total, tensors, unconnected_gradients=tensorflow.UnconnectedGradients.ZERO)


def _jax(score: Score, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    import jax

    return jax.grad(lambda given: ops.sum(score(*given)))(tensors)


def _torch(score: Score, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    import torch

    with torch.enable_grad():
        tensors = [tensor.detach().clone().requires_grad_(True) for tensor in tensors]
        total = ops.sum(score(*tensors))
        if not total.requires_grad:
            return [torch.zeros_like(tensor) for tensor in tensors]
        found = torch.autograd.grad(total, tensors, allow_unused=True)
    return [
        torch.zeros_like(tensor) if slope is None else slope.detach()
        for slope, tensor in zip(found, tensors, strict=True)
    ]
