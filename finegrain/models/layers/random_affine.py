"""The recipe's augmentation as a layer, for devices that warp faster than they are fed."""

import math
from typing import Any

import keras
from keras import ops

from finegrain.models.bilinear import bilinear
from finegrain.tensor import Shape, Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class RandomAffine(keras.layers.Layer):
    """Rotate, shear, zoom and mirror each image at random, in one bilinear warp.

    Ranges, distributions and the order of the changes are those of Keras's
    `ImageDataGenerator` with `fill_mode="nearest"`, and so is its centre, which in an image that
    is not square lies where its sides change places. Pictures agree with the generator's up to
    rounding; the draws are the layer's own. Images pass unchanged unless `training`.

    Args:
        rotation: largest rotation either way, degrees.
        shear: largest shear either way, degrees.
        zoom: zoom factor between 1 - zoom and 1 + zoom, each axis for itself; 0 to below 1.
        horizontal_flip: mirror every second image.
        seed: of the draws.

    Call arguments:
        image: (B, H, W, 3) integers or floats, 0 to 255.
        training: whether to change the images.

    Returns:
        (B, H, W, 3) float32, 0 to 255, under mixed precision too.

    Raises:
        ValueError: a range that cannot be.
    """

    def __init__(
        self,
        rotation: float = 45.0,
        shear: float = 0.2,
        zoom: float = 0.2,
        horizontal_flip: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if min(rotation, shear, zoom) < 0 or zoom >= 1:
            raise ValueError(
                "`rotation`, `shear` and `zoom` must not be negative, and `zoom` below 1. "
                f"Received: rotation={rotation}, shear={shear}, zoom={zoom}"
            )
        self.rotation, self.shear, self.zoom = rotation, shear, zoom
        self.horizontal_flip = horizontal_flip
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, image: Tensor, training: bool | None = None) -> Tensor:
        image = ops.cast(image, "float32")
        return self.warp(image, *self.draw(ops.shape(image)[0])) if training else image

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Random parameters of `count` images, as `warp` takes them."""
        theta = self._uniform(count, 0.0, self.rotation)
        shear = self._uniform(count, 0.0, self.shear)
        zoom_x = self._uniform(count, 1.0, self.zoom)
        zoom_y = self._uniform(count, 1.0, self.zoom)
        flip = self._uniform(count, 0.5, 0.5) < (0.5 if self.horizontal_flip else 0.0)
        return theta, shear, zoom_x, zoom_y, flip

    def warp(
        self,
        image: Tensor,
        theta: Tensor,
        shear: Tensor,
        zoom_x: Tensor,
        zoom_y: Tensor,
        flip: Tensor,
    ) -> Tensor:
        """Change images by given parameters.

        Args:
            image: (B, H, W, 3) float32.
            theta: (B,) rotations in degrees.
            shear: (B,) shears in degrees.
            zoom_x: (B,) `ImageDataGenerator`'s zx: of the width; above 1 shrinks the picture.
            zoom_y: (B,) its zy: of the height.
            flip: (B,) whether to mirror the result.

        Returns:
            (B, H, W, 3) float32.
        """
        height, width = image.shape[1:3]
        theta, shear = (ops.cast(one, "float32") * (math.pi / 180) for one in (theta, shear))
        cos, sin = ops.cos(theta), ops.sin(theta)
        # Rotation times shear times zoom, which leads from a place in the result to its source.
        xx, xy = cos * zoom_x, -(cos * ops.sin(shear) + sin * ops.cos(shear)) * zoom_y
        yx, yy = sin * zoom_x, (cos * ops.cos(shear) - sin * ops.sin(shear)) * zoom_y
        centre_x, centre_y = height / 2 - 0.5, width / 2 - 0.5
        x0 = centre_x - xx * centre_x - xy * centre_y
        y0 = centre_y - yx * centre_x - yy * centre_y
        flip = ops.cast(flip, "float32")
        x0, y0 = x0 + flip * (width - 1) * xx, y0 + flip * (width - 1) * yx
        xx, yx = xx * (1 - 2 * flip), yx * (1 - 2 * flip)
        x, y = (ops.arange(size, dtype="float32") for size in (width, height))
        x, y = ops.reshape(x, (1, 1, width)), ops.reshape(y, (1, height, 1))
        xx, xy, x0, yx, yy, y0 = (ops.reshape(a, (-1, 1, 1)) for a in (xx, xy, x0, yx, yy, y0))
        return bilinear(image, xx * x + xy * y + x0, yx * x + yy * y + y0)

    def _uniform(self, count: int, middle: float, reach: float) -> Tensor:
        return keras.random.uniform(
            (count,), middle - reach, middle + reach, dtype="float32", seed=self.seed_generator
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("rotation", "shear", "zoom", "horizontal_flip", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
