"""Batches of Keras's image iterators, made in threads."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from keras.utils import img_to_array, load_img

from finegrain.images.photo_files import PhotoFiles


def make_batches_in_threads(iterator, workers: int | None):
    """Have an iterator of an `ImageDataGenerator` read and transform images in threads.

    Random parameters are drawn one image after the other from NumPy's global state, as the
    original draws them; only what needs no chance runs in parallel. With `save_to_dir` the
    iterator stays as it is.

    Args:
        iterator: as from `flow`, `flow_from_directory` or `flow_from_dataframe`.
        workers: threads; None for one a CPU core.

    Returns:
        The same iterator.
    """
    if not iterator.save_to_dir:
        kind = FileBatches if hasattr(iterator, "filepaths") else ArrayBatches
        # Set on the object, not in a subclass: its class, and what else it can do, stay Keras's.
        iterator._get_batches_of_transformed_samples = kind(iterator, workers or usable_cores())
    return iterator


def usable_cores() -> int:
    """CPU cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class FusedBatches:
    """Makes the batches of an iterator; subclasses say what its images and labels are.

    Args:
        iterator: whose images, labels and generator to use.
        workers: threads.
    """

    def __init__(self, iterator, workers: int):
        self.iterator = iterator
        self.generator = iterator.image_data_generator
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="images") if workers > 1 else None

    def __call__(self, index_array: np.ndarray):
        """The batch of the images of `index_array`, as the iterator would make it."""
        shape = self.image_shape()
        batch = np.zeros((len(index_array), *shape), self.iterator.dtype)
        if self.generator.preprocessing_function:
            # The user's function may draw random numbers, and need not bear several threads.
            for place, image in zip(batch, self._map(self.read, index_array), strict=True):
                place[...] = self._changed(image, self.generator.get_random_transform(shape))
            return self.with_targets(batch, index_array)
        drawn = [self.generator.get_random_transform(shape) for _ in index_array]

        def make(place: np.ndarray, index: int, parameters: dict) -> None:
            place[...] = self._changed(self.read(index), parameters)

        for _ in self._map(make, batch, index_array, drawn):
            pass
        return self.with_targets(batch, index_array)

    def _map(self, function, *arguments) -> Iterable:
        return (self._pool.map if self._pool else map)(function, *arguments)

    def _changed(self, image: np.ndarray, parameters: dict) -> np.ndarray:
        return self.generator.standardize(self.generator.apply_transform(image, parameters))


class FileBatches(FusedBatches):
    """Batches of a `DirectoryIterator` or `DataFrameIterator`."""

    def __init__(self, iterator, workers: int):
        super().__init__(iterator, workers)
        self._keeps_bytes = np.dtype(iterator.dtype) == np.uint8 and not standardizes(self.generator)
        self._files = None
        plain = iterator.data_format == "channels_last" and not iterator.keep_aspect_ratio
        if plain and iterator.color_mode == "rgb" and iterator.interpolation == "bilinear":
            self._files = PhotoFiles([Path(path) for path in iterator.filepaths], iterator.target_size)

    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return self.iterator.image_shape

    def read(self, index: int) -> np.ndarray:
        """One image in float32, or in uint8 if that is what the batch shall hold."""
        if self._files is not None:
            pixels = self._files.read(index)
            return pixels if self._keeps_bytes else pixels.astype(np.float32)
        it = self.iterator
        image = load_img(
            it.filepaths[index], color_mode=it.color_mode, target_size=it.target_size,
            interpolation=it.interpolation, keep_aspect_ratio=it.keep_aspect_ratio,
        )  # fmt: skip
        return img_to_array(image, data_format=it.data_format)

    def with_targets(self, batch: np.ndarray, index_array: np.ndarray):
        """The batch with labels and weights as the iterator's `class_mode` wants them."""
        it = self.iterator
        if it.class_mode == "input":
            targets = batch.copy()
        elif it.class_mode in ("binary", "sparse"):
            targets = np.array([it.classes[index] for index in index_array], it.dtype)
        elif it.class_mode == "categorical":
            targets = np.zeros((len(batch), len(it.class_indices)), it.dtype)
            for row, index in zip(targets, index_array, strict=True):
                row[it.classes[index]] = 1
        elif it.class_mode == "multi_output":
            targets = [output[index_array] for output in it.labels]
        elif it.class_mode == "raw":
            targets = it.labels[index_array]
        else:
            return batch
        if it.sample_weight is None:
            return batch, targets
        return batch, targets, it.sample_weight[index_array]


class ArrayBatches(FusedBatches):
    """Batches of a `NumpyArrayIterator`."""

    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return self.iterator.x.shape[1:]

    def read(self, index: int) -> np.ndarray:
        """A copy of one image: it is changed in place."""
        return self.iterator.x[index].copy()

    def with_targets(self, batch: np.ndarray, index_array: np.ndarray):
        """The batch with whatever arrays the iterator was given beside the images."""
        it = self.iterator
        inputs = [batch, *(array[index_array] for array in it.x_misc)]
        output = (inputs if it.x_misc else batch,)
        if it.y is None:
            return output[0]
        output += (it.y[index_array],)
        return output if it.sample_weight is None else (*output, it.sample_weight[index_array])


def standardizes(generator) -> bool:
    """Whether `generator.standardize` or a shading needs more than bytes."""
    names = (
        "preprocessing_function", "rescale", "samplewise_center", "samplewise_std_normalization",
        "featurewise_center", "featurewise_std_normalization", "zca_whitening",
        "brightness_range", "channel_shift_range",
    )  # fmt: skip
    return any(bool(getattr(generator, name)) for name in names)
