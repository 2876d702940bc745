"""Grad-CAM: which part of the picture speaks for a class."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from finegrain.explain.feature_map import below_map, logits_above_map
from finegrain.explain.gradients import gradients
from finegrain.explain.heat import fitted, lay_over, weighted_heat
from finegrain.models.heads.category import CATEGORY


class GradCam:
    """Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", arXiv 1610.02391.

    The score is the class's number before the softmax, the map the backbone's last one, so it
    serves every backbone and every head of the project, on every backend. The backbone runs
    forward once; only the head is differentiated.

    Args:
        model: a training model, or its `classifier`.
    """

    def __init__(self, model: keras.Model):
        self.image_size = tuple(model.get_layer("image").output.shape[1:3])
        self._below = below_map(model)
        self._logits = logits_above_map(model, CATEGORY)

    def heats(self, images: np.ndarray, class_indices: Sequence[int] | None = None) -> np.ndarray:
        """Heat of a batch of images.

        Args:
            images: (N, H, W, 3) uint8, RGB, of the model's size.
            class_indices: N classes asked about; None for the likeliest of each image.

        Returns:
            (N, h, w) float32, 0 to 1, of the feature map's size; all 0 where no part of the
            picture speaks for the class.
        """
        maps = self._maps(images)
        if class_indices is None:
            class_indices = ops.convert_to_numpy(self._logits(maps)).argmax(axis=1)
        asked = ops.one_hot(np.asarray(class_indices), self._logits.dense.units)
        (slopes,) = gradients(lambda given: ops.multiply(self._logits(given), asked), [maps])
        return weighted_heat(maps, slopes)

    def heat(self, pixels: np.ndarray, class_index: int | None = None) -> np.ndarray:
        """Heat of one picture of any size.

        Args:
            pixels: (H, W, 3) uint8, RGB.
            class_index: the class asked about; None for the likeliest.

        Returns:
            (h, w) float32, as `heats`.
        """
        asked = None if class_index is None else [class_index]
        return self.heats(fitted(pixels, self.image_size)[None], asked)[0]

    def overlay(self, pixels: np.ndarray, class_index: int | None = None) -> np.ndarray:
        """A picture coloured by its heat.

        Args: see `heat`.

        Returns:
            (H, W, 3) uint8; the plain picture where there is no heat.
        """
        return lay_over(pixels, self.heat(pixels, class_index))

    def _maps(self, images: np.ndarray) -> np.ndarray:
        maps = self._below(ops.convert_to_tensor(images, dtype="float32"), training=False)
        return ops.convert_to_numpy(ops.cast(maps, "float32"))
