"""What Keras's image iterators put into a batch."""

from pathlib import Path
from typing import Any

import numpy as np
from keras.utils import img_to_array, load_img

from finegrain.images.photo_files import PhotoFiles, PixelSource
from finegrain.images.pixel_store import PixelStore
from finegrain.images.threaded_batches import ThreadedBatches
from finegrain.read_ahead import usable_cores
from finegrain.stores.store_folder import StoreFolder


def make_batches_in_threads(
    iterator: Any, workers: int | None, cache: StoreFolder | None = None
) -> Any:
    """Have an iterator of an `ImageDataGenerator` read and transform images in threads.

    Random parameters are drawn one image after the other from NumPy's global state, as the
    original draws them; only what needs no chance runs in parallel. With `save_to_dir` the
    iterator stays as it is.

    Args:
        iterator: as from `flow`, `flow_from_directory` or `flow_from_dataframe`.
        workers: threads; None for one a CPU core.
        cache: keeps decoded images of files.

    Returns:
        The same iterator.

    Raises:
        ValueError: `cache` is given for images that `read_pixels` does not read.
    """
    if not iterator.save_to_dir:
        workers = workers or usable_cores()
        if hasattr(iterator, "filepaths"):
            batches: ThreadedBatches = FileBatches(iterator, workers, cache)
        else:
            batches = ArrayBatches(iterator, workers)
        # Set on the object, not in a subclass: its class, and what else it can do, stay Keras's.
        iterator._get_batches_of_transformed_samples = batches
    return iterator


class ArrayBatches(ThreadedBatches):
    """Batches of a `NumpyArrayIterator`."""

    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return self.iterator.x.shape[1:]

    def read(self, index: int) -> np.ndarray:
        """A copy of one image: it is changed in place."""
        return self.iterator.x[index].copy()

    def with_targets(self, batch: np.ndarray, index_array: np.ndarray) -> Any:
        """The batch with whatever arrays the iterator was given beside the images."""
        it = self.iterator
        inputs = [batch, *(array[index_array] for array in it.x_misc)]
        images = inputs if it.x_misc else batch
        if it.y is None:
            return images
        labels = it.y[index_array]
        if it.sample_weight is None:
            return images, labels
        return images, labels, it.sample_weight[index_array]


class FileBatches(ThreadedBatches):
    """Batches of a `DirectoryIterator` or `DataFrameIterator`."""

    def __init__(self, iterator: Any, workers: int, cache: StoreFolder | None):
        super().__init__(iterator, workers)
        wants_bytes = np.dtype(iterator.dtype) == np.uint8
        self._keeps_bytes = wants_bytes and not standardizes(self.generator)
        self._pixels = pixel_source(iterator, cache)

    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return self.iterator.image_shape

    def read(self, index: int) -> np.ndarray:
        """One image in float32, or in uint8 if that is what the batch shall hold."""
        if self._pixels is not None:
            pixels = self._pixels.read(index)
            return pixels if self._keeps_bytes else pixels.astype(np.float32)
        it = self.iterator
        image = load_img(
            it.filepaths[index],
            color_mode=it.color_mode,
            target_size=it.target_size,
            interpolation=it.interpolation,
            keep_aspect_ratio=it.keep_aspect_ratio,
        )
        return img_to_array(image, data_format=it.data_format)

    def with_targets(self, batch: np.ndarray, index_array: np.ndarray) -> Any:
        """The batch with labels and weights as the iterator's `class_mode` wants them."""
        it = self.iterator
        if it.class_mode == "input":
            targets: Any = batch.copy()
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


def pixel_source(iterator: Any, cache: StoreFolder | None) -> PixelSource | None:
    """Where an iterator's images come from; None where Keras itself must read them."""
    plain = iterator.data_format == "channels_last" and not iterator.keep_aspect_ratio
    if not (plain and iterator.color_mode == "rgb" and iterator.interpolation == "bilinear"):
        if cache is not None:
            raise ValueError(
                '`cache` keeps images read with interpolation="bilinear", color_mode="rgb" and '
                f"channels last. Received: interpolation={iterator.interpolation!r}, "
                f"color_mode={iterator.color_mode!r}, data_format={iterator.data_format!r}"
            )
        return None
    paths = [Path(path) for path in iterator.filepaths]
    store = cache and PixelStore.open(cache, {"images": paths}, iterator.target_size)
    return store.photos(paths) if store else PhotoFiles(paths, iterator.target_size)


def standardizes(generator: Any) -> bool:
    """Whether `generator.standardize` or a shading needs more than bytes."""
    names = (
        "preprocessing_function",
        "rescale",
        "samplewise_center",
        "samplewise_std_normalization",
        "featurewise_center",
        "featurewise_std_normalization",
        "zca_whitening",
        "brightness_range",
        "channel_shift_range",
    )
    return any(bool(getattr(generator, name)) for name in names)
