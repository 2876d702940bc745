"""Augmentation as layers, for devices that change images faster than they are fed."""

from typing import Any

import keras
from keras import ops

from finegrain.images.image_changes import (
    COLOURS,
    WHOLE,
    Box,
    affine,
    crop_box,
    cropped,
    erased,
    erased_box,
    mirrored,
    recoloured,
)
from finegrain.models.layers.float32_layer import Float32Layer
from finegrain.tensor import Tensor


class RandomChange(Float32Layer):
    """Changes each image at random in training, and passes it unchanged otherwise.

    Images (B, H, W, 3), integers or floats from 0 to 255, come out as float32 of that range.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, image: Tensor, training: bool | None = None) -> Tensor:
        image = ops.cast(image, "float32")
        return self.change(image) if training else image

    def change(self, image: Tensor) -> Tensor:
        """Images (B, H, W, 3) float32, each changed by parameters of its own."""
        raise NotImplementedError

    def uniform(self, shape: tuple[int, ...], middle: float, reach: float) -> Tensor:
        """Random numbers between middle - reach and middle + reach."""
        return keras.random.uniform(
            shape, middle - reach, middle + reach, dtype="float32", seed=self.seed_generator
        )


@keras.saving.register_keras_serializable(package="finegrain")
class RandomAffine(RandomChange):
    """Crop, rotate, shear, zoom and mirror each image at random, in one bilinear warp.

    Ranges, distributions and the order of the changes are those of Keras's
    `ImageDataGenerator` with `fill_mode="nearest"`, and so is its centre, which in an image that
    is not square lies where its sides change places. Pictures agree with the generator's up to
    rounding; the draws are the layer's own.

    Args: as `finegrain.images.augmentation.Augmentation`'s, none negative, and `zoom` and
        `crop_area` below 1.
    """

    SETTINGS = ("rotation", "shear", "zoom", "horizontal_flip", "crop_area", "seed")

    def __init__(
        self,
        rotation: float = 45.0,
        shear: float = 0.2,
        zoom: float = 0.2,
        horizontal_flip: bool = True,
        crop_area: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        if min(rotation, shear, zoom, crop_area) < 0 or max(zoom, crop_area) >= 1:
            raise ValueError(
                "`rotation`, `shear`, `zoom` and `crop_area` must not be negative, and `zoom` and "
                f"`crop_area` below 1. Received: rotation={rotation}, shear={shear}, zoom={zoom}, "
                f"crop_area={crop_area}"
            )
        self.rotation, self.shear, self.zoom = rotation, shear, zoom
        self.horizontal_flip, self.crop_area = horizontal_flip, crop_area

    def change(self, image: Tensor) -> Tensor:
        count = ops.shape(image)[0]
        return self.warp(image, *self.draw(count), self.draw_crop(count))

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Random parameters of `count` images, as `warp` takes them."""
        theta = self.uniform((count,), 0.0, self.rotation)
        shear = self.uniform((count,), 0.0, self.shear)
        zoom_x = self.uniform((count,), 1.0, self.zoom)
        zoom_y = self.uniform((count,), 1.0, self.zoom)
        flip = self.uniform((count,), 0.5, 0.5) < (0.5 if self.horizontal_flip else 0.0)
        return theta, shear, zoom_x, zoom_y, flip

    def draw_crop(self, count: int) -> Box:
        """Random crops of `count` images: boxes of tensors (B,), or `WHOLE` without any crops."""
        if not self.crop_area:
            return WHOLE
        return crop_box(ops, self.crop_area, [self.uniform((count,), 0.5, 0.5) for _ in range(4)])

    def warp(
        self,
        image: Tensor,
        theta: Tensor,
        shear: Tensor,
        zoom_x: Tensor,
        zoom_y: Tensor,
        flip: Tensor,
        crop: Box = WHOLE,
    ) -> Tensor:
        """Images (B, H, W, 3) float32 cropped, changed by parameters (B,) of `affine`, mirrored."""
        height, width = image.shape[1:3]
        theta, shear = ops.cast(theta, "float32"), ops.cast(shear, "float32")
        rows = affine(ops, theta, shear, zoom_x, zoom_y, height, width)
        rows = cropped(rows, crop, height, width)
        rows = mirrored(rows, 0, width, ops.cast(flip, "float32"))
        x, y = (ops.arange(size, dtype="float32") for size in (width, height))
        x, y = ops.reshape(x, (1, 1, width)), ops.reshape(y, (1, height, 1))
        (xx, xy, x0), (yx, yy, y0) = ((ops.reshape(one, (-1, 1, 1)) for one in row) for row in rows)
        return bilinear(image, xx * x + xy * y + x0, yx * x + yy * y + y0)


@keras.saving.register_keras_serializable(package="finegrain")
class RandomColour(RandomChange):
    """Change images' colours at random, as `recoloured` does, in `Augmentation`'s ranges."""

    SETTINGS = (*COLOURS, "seed")

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        if min(brightness, contrast, saturation) < 0 or max(brightness, contrast, saturation) > 1:
            raise ValueError(
                "`brightness`, `contrast` and `saturation` must be from 0 to 1. "
                f"Received: {brightness}, {contrast}, {saturation}"
            )
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation

    def change(self, image: Tensor) -> Tensor:
        shape = (ops.shape(image)[0], 1, 1, 1)
        factors = [self.uniform(shape, 1.0, getattr(self, name)) for name in COLOURS]
        return recoloured(ops, image, *factors)


@keras.saving.register_keras_serializable(package="finegrain")
class RandomErasing(RandomChange):
    """Replace a rectangle of some images by noise, as `Augmentation`'s `erasing` says."""

    SETTINGS = ("erasing", "seed")

    def __init__(self, erasing: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if not 0 <= erasing <= 1:
            raise ValueError(f"`erasing` must be from 0 to 1. Received: {erasing}")
        self.erasing = erasing

    def change(self, image: Tensor) -> Tensor:
        shape = (ops.shape(image)[0], 1, 1, 1)
        box = erased_box(ops, [self.uniform(shape, 0.5, 0.5) for _ in range(4)])
        chosen = ops.cast(self.uniform(shape, 0.5, 0.5) < self.erasing, "float32")
        left, top, width, height = box
        noise = self.uniform(ops.shape(image), 127.5, 127.5)
        return erased(ops, image, (left, top, width * chosen, height), noise)


def bilinear(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Pixels of images (B, H, W, C) at columns x and rows y (B, h, w) between them: (B, h, w, C).

    Outside an image they are those of its nearest edge.

    `keras.ops.image.affine_transform` does the same, but on JAX it interpolates between channels
    too and multiplies coordinates in the GPU's short float, and TensorFlow's XLA cannot compile it.
    """
    height, width, channels = image.shape[1:]
    x, y = ops.clip(x, 0, width - 1), ops.clip(y, 0, height - 1)
    left, top = ops.floor(x), ops.floor(y)
    right_share, lower_share = ops.expand_dims(x - left, -1), ops.expand_dims(y - top, -1)
    left, top = ops.cast(left, "int32"), ops.cast(top, "int32")
    right, bottom = ops.minimum(left + 1, width - 1), ops.minimum(top + 1, height - 1)
    flat = ops.reshape(image, (-1, channels))
    first = ops.arange(ops.shape(image)[0], dtype="int32") * (height * width)
    first = ops.reshape(first, (-1, 1, 1))

    def row(y: Tensor) -> Tensor:
        start = first + y * width
        at_left = ops.take(flat, start + left, axis=0)
        at_right = ops.take(flat, start + right, axis=0)
        return at_left + (at_right - at_left) * right_share

    upper = row(top)
    return upper + (row(bottom) - upper) * lower_share
