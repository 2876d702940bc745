"""Keras's `ImageDataGenerator`, ten times as fast: a drop-in for scripts of your own.

    from finegrain.images.drop_in import FusedImageDataGenerator as ImageDataGenerator

The training scripts of this project do without it: `PhotoBatches` reads, warps and shuffles for
them, of which this borrows reading and warping.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

# `tensorflow.keras.preprocessing.image` is this very module; taken from here it also loads
# where Keras runs on JAX or PyTorch. The one place that imports it.
from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator

from finegrain.images.drop_in_iterators import ArrayIterator, FileIterator, ThreadedIterator
from finegrain.images.image_changes import affine
from finegrain.images.warp import can_warp, warp
from finegrain.read_ahead import usable_cores

# The numbers of a transform in the order of `affine`, and what they are where nothing is said.
GEOMETRY = {"theta": 0, "shear": 0, "zx": 1, "zy": 1}
SHIFTS = {"tx": 0, "ty": 0}
SHADING = ("channel_shift_intensity", "brightness")


class FusedImageDataGenerator(ImageDataGenerator):
    """Keras's `ImageDataGenerator` with the same arguments, methods and random parameters.

    Rotation, shift, shear, zoom and both flips are one bilinear warp of all channels by OpenCV,
    where the original interpolates each channel by itself in Python's one thread. What OpenCV
    does not do the same (`fill_mode="wrap"`, an `interpolation_order` other than 1, two channels
    or more than four) goes through the original's code.

    Pixels, whatever they show, agree with the original's within 0.02 of 255 where the transform
    looks up positions within 600 pixels (the recipe's, at 299 pixels), and in proportion beyond:
    positions are in single precision. uint8 images stay uint8, rounded: 0.5 more. With a
    brightness, before and after which the original cuts decimals off, a pixel may differ by one
    before it is made brighter, and by one after.

    `flow`, `flow_from_directory` and `flow_from_dataframe` take two arguments more: `workers`,
    threads that make a batch, by default one a CPU core; and, but for `flow`, `cache`, a
    `StoreFolder` in which each image is kept, decoded and resized, when it is first read
    (`interpolation="bilinear"` and `color_mode="rgb"` only). With `save_to_dir` they return what
    the original does, else a `ThreadedIterator`, which gives the same images in the same order
    with the same labels and random parameters from the same seed.

    `interpolation="bilinear"` images of `color_mode="rgb"` are read by
    `finegrain.decode.read_pixels`, which the original does not match in these points:
    EXIF orientation is applied, transparency laid over white, 16 bits are scaled, and a JPEG at
    least twice as large as wanted is decoded at a reduced size. Other images are read by Keras.
    With `dtype="uint8"` images stay uint8 all the way and are rounded, where the original cuts
    decimals off; unless they are to be shaded or standardized.
    """

    def apply_transform(self, x: np.ndarray, transform_parameters: Mapping[str, Any]) -> np.ndarray:
        """Transform one image, as the original; uint8 and float32 stay what they are."""
        channels = self.channel_axis - 1
        image = np.moveaxis(x, channels, -1) if x.ndim == 3 else x
        geometry = [transform_parameters.get(name, rest) for name, rest in GEOMETRY.items()]
        shifts = [transform_parameters.get(name, rest) for name, rest in SHIFTS.items()]
        still = [*geometry, *shifts] == [*GEOMETRY.values(), *SHIFTS.values()]
        if still or not can_warp(image, self.fill_mode, self.interpolation_order):
            return self._by_the_original(x, transform_parameters)
        warped = warp(
            image,
            affine(np, *geometry, *image.shape[:2], *shifts),
            flip_rows=bool(transform_parameters.get("flip_vertical", False)),
            flip_columns=bool(transform_parameters.get("flip_horizontal", False)),
            fill_mode=self.fill_mode,
            cval=self.cval,
        )
        if transform_parameters.get("brightness") is not None:
            # The original scales anew what leaves 0 to 255, be it by a rounding error.
            lowest, highest = min(x.min(), self.cval), max(x.max(), self.cval)
            warped = np.clip(warped, lowest, highest).astype(x.dtype, copy=False)
        shading = {name: transform_parameters.get(name) for name in SHADING}
        return self._by_the_original(np.moveaxis(warped, -1, channels), shading)

    def _by_the_original(self, x: np.ndarray, parameters: Mapping[str, Any]) -> np.ndarray:
        result = super().apply_transform(x, parameters)
        if x.dtype == np.uint8 and result.dtype != np.uint8:
            return np.clip(np.rint(result), 0, 255).astype(np.uint8)
        return result

    def flow(self, *args: Any, workers: int | None = None, **kwargs: Any) -> Any:
        return _threaded(ArrayIterator, super().flow(*args, **kwargs), workers)

    def flow_from_directory(self, *args: Any, **kwargs: Any) -> Any:
        ours = kwargs.pop("workers", None), kwargs.pop("cache", None)
        return _threaded(FileIterator, super().flow_from_directory(*args, **kwargs), *ours)

    def flow_from_dataframe(self, *args: Any, **kwargs: Any) -> Any:
        ours = kwargs.pop("workers", None), kwargs.pop("cache", None)
        return _threaded(FileIterator, super().flow_from_dataframe(*args, **kwargs), *ours)


def _threaded(
    kind: type[ThreadedIterator], iterator: Any, workers: int | None, *options: Any
) -> Any:
    if iterator.save_to_dir:
        return iterator
    return kind(iterator, workers or usable_cores(), *options)
