"""Grad-CAM of the pair head: which parts make two images the same class, or another."""

import keras
import numpy as np
from keras import ops

from finegrain.explain.feature_map import Logits, above_map, below_map
from finegrain.explain.gradients import gradients
from finegrain.explain.heat import fitted, weighted_heat
from finegrain.models.heads.same_class import SAME_CLASS, SQUARED_DIFFERENCE
from finegrain.models.image_heads import EMBEDDING
from finegrain.tensor import Tensor


class PairCam:
    """Grad-CAM (arXiv 1610.02391) for two images at once.

    The score is the log odds of "the same class". For "another class" it is differentiated as
    it stands: hot is what one image has and the other lacks. For "the same class" that would
    not do: the head takes the square of the embeddings' difference, which has no slope just
    where the two agree, and elsewhere asks each image for what it lacks. So of the score only
    that part is differentiated that comes from both images together: the score of the two, less
    each one's score against an empty map. Of (a - b)^2 that leaves -2ab: hot is what both have
    and the head goes by.

    Args:
        model: a multi-loss training model.
    """

    def __init__(self, model: keras.Model):
        self.image_size = tuple(model.get_layer("image").output.shape[1:3])
        self._below = below_map(model)
        self._embed = above_map(model, EMBEDDING)
        self._difference = model.get_layer(SQUARED_DIFFERENCE)
        self._logits = Logits(None, model.get_layer(SAME_CLASS))

    def heats(
        self, pixels_1: np.ndarray, pixels_2: np.ndarray, same: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Heat of two pictures of any size.

        Args:
            pixels_1: (H, W, 3) uint8, RGB.
            pixels_2: the same, perhaps of another size.
            same: ask what speaks for the same class; False for another class.

        Returns:
            Two (h, w) float32 arrays, 0 to 1, of the feature map's size; all 0 where nothing
            speaks for the answer.
        """
        images = np.stack([fitted(pixels, self.image_size) for pixels in (pixels_1, pixels_2)])
        maps = self._below(ops.convert_to_tensor(images, dtype="float32"), training=False)
        maps = ops.convert_to_numpy(ops.cast(maps, "float32"))
        score = self._shared if same else self._apart
        slopes = gradients(score, [maps[:1], maps[1:]])
        one, other = weighted_heat(maps, np.concatenate(slopes))
        return one, other

    def _odds(self, map_1: Tensor, map_2: Tensor) -> Tensor:
        """(1,) log odds of "the same class"."""
        embeddings = [self._embed(given, training=False) for given in (map_1, map_2)]
        logits = self._logits(self._difference(embeddings))
        return logits[:, 1] - logits[:, 0]

    def _shared(self, map_1: Tensor, map_2: Tensor) -> Tensor:
        empty = ops.zeros_like(map_1)
        return self._odds(map_1, map_2) - self._odds(map_1, empty) - self._odds(empty, map_2)

    def _apart(self, map_1: Tensor, map_2: Tensor) -> Tensor:
        return -self._odds(map_1, map_2)
