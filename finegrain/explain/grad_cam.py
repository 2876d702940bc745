"""Grad-CAM: which part of a picture speaks for a class, or makes two pictures the same class.

Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", arXiv 1610.02391. The map is the backbone's last one, so it serves every backbone
and every head of the project, on every backend. The backbone runs forward once; only what stands
above the map is differentiated.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras
import numpy as np
from keras import ops

from finegrain.explain.pictures import fitted
from finegrain.models.backbone import BACKBONE_LAYER
from finegrain.models.heads import CATEGORY, EMBEDDING, SAME_CLASS
from finegrain.models.heads.same_class import SQUARED_DIFFERENCE
from finegrain.tensor import Tensor

Score: TypeAlias = Callable[..., Tensor]


class _CutModel:
    """A model cut at its last feature map, where places in the picture are still told apart."""

    def __init__(self, model: keras.Model):
        image, self._cut = model.get_layer("image").output, _map_tensor(model)
        self.image_size = tuple(image.shape[1:3])
        self._below = keras.Model(image, self._cut, name="below_map")

    def _maps(self, images: np.ndarray) -> np.ndarray:
        """Images (N, H, W, 3), RGB 0 to 255 -> (N, h, w, D) float32."""
        maps = self._below(ops.convert_to_tensor(images, dtype="float32"), training=False)
        return ops.convert_to_numpy(ops.cast(maps, "float32"))


class GradCam(_CutModel):
    """Heat of a class, by its number before the softmax, of a training model or `classifier`."""

    def __init__(self, model: keras.Model):
        super().__init__(model)
        self._dense = model.get_layer(CATEGORY)
        self._above = keras.Model(self._cut, self._dense.input)

    def heats(self, images: np.ndarray, class_indices: Sequence[int] | None = None) -> np.ndarray:
        """Heat of images (N, H, W, 3) uint8, RGB, of the model's size: (N, h, w) of the map's.

        Asked about are N classes, or the likeliest of each image. See `weighted_heat`.
        """
        maps = self._maps(images)
        if class_indices is None:
            class_indices = ops.convert_to_numpy(self._logits(maps)).argmax(axis=1)
        asked = ops.one_hot(np.asarray(class_indices), self._dense.units)
        (slopes,) = gradients(lambda given: ops.multiply(self._logits(given), asked), [maps])
        return weighted_heat(maps, slopes)

    def heat(self, pixels: np.ndarray, class_index: int | None = None) -> np.ndarray:
        """Heat of one picture of any size, (H, W, 3) uint8; (h, w), as `heats`."""
        asked = None if class_index is None else [class_index]
        return self.heats(fitted(pixels, self.image_size)[None], asked)[0]

    def _logits(self, maps: Tensor) -> Tensor:
        return _logits(self._dense, self._above(maps, training=False))


class PairCam(_CutModel):
    """Heat of two images at once.

    The score is a multi-loss model's log odds of "the same class". For "another class" it is
    differentiated as it stands: hot is what one image has and the other lacks. For "the same
    class" that would not do: the square of the embeddings' difference has no slope just where the
    two agree, and elsewhere asks each image for what it lacks. So only that part is differentiated
    that comes from both together: the score of the two, less each one's score against an empty
    map. Of (a - b)^2 that leaves -2ab: hot is what both have and the head goes by.
    """

    def __init__(self, model: keras.Model):
        super().__init__(model)
        self._embed = keras.Model(self._cut, model.get_layer(EMBEDDING).output)
        self._difference = model.get_layer(SQUARED_DIFFERENCE)
        self._dense = model.get_layer(SAME_CLASS)

    def heats(
        self, pixels_1: np.ndarray, pixels_2: np.ndarray, same: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Heat of two pictures, (H, W, 3) uint8 of any sizes: two (h, w), as `GradCam.heats`."""
        images = np.stack([fitted(pixels, self.image_size) for pixels in (pixels_1, pixels_2)])
        maps = self._maps(images)
        slopes = gradients(self._shared if same else self._apart, [maps[:1], maps[1:]])
        heat_1, heat_2 = weighted_heat(maps, np.concatenate(slopes))
        return heat_1, heat_2

    def _odds(self, map_1: Tensor, map_2: Tensor) -> Tensor:
        embeddings = [self._embed(given, training=False) for given in (map_1, map_2)]
        logits = _logits(self._dense, self._difference(embeddings))
        return logits[:, 1] - logits[:, 0]

    def _shared(self, map_1: Tensor, map_2: Tensor) -> Tensor:
        empty = ops.zeros_like(map_1)
        return self._odds(map_1, map_2) - self._odds(map_1, empty) - self._odds(empty, map_2)

    def _apart(self, map_1: Tensor, map_2: Tensor) -> Tensor:
        return -self._odds(map_1, map_2)


def weighted_heat(feature_maps: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Grad-CAM's heat (equations 1 and 2).

    Each channel of the map counts as much as the score's gradient on it, averaged over all
    places; what speaks against is cut off. Maps and gradients (N, h, w, D) -> (N, h, w) float32,
    0 to 1 at the hottest place; all 0 where nothing speaks for it, or a number is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        weights = slopes.astype(np.float64).mean(axis=(1, 2))
        heat = np.einsum("nhwd,nd->nhw", feature_maps.astype(np.float64), weights)
    heat[~np.isfinite(heat).all(axis=(1, 2))] = 0
    heat = np.maximum(heat, 0)
    hottest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, hottest, out=np.zeros_like(heat), where=hottest > 0).astype(np.float32)


def _logits(dense: keras.layers.Dense, inputs: Tensor) -> Tensor:
    """What a Dense layer computes before its activation, (B, C).

    A softmax ties all classes together, and one that is sure has no gradient left.
    """
    logits = ops.matmul(ops.cast(inputs, "float32"), ops.cast(dense.kernel, "float32"))
    return logits if dense.bias is None else logits + dense.bias


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


def gradients(score: Score, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Gradients of the sum of a score with respect to float32 arrays; 0 where it has none of one.

    The score is a function of as many tensors, made of `keras.ops` and layers in inference mode.
    Rows of a batch that do not meet in it have each the gradient of their own score.
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
