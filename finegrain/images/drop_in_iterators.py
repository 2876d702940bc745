"""What the drop-in generator's iterators give: Keras's batches, each made by several threads."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.utils import img_to_array, load_img

from finegrain.frame import Frame
from finegrain.images.pixels import PhotoFiles, PixelSource, PixelStore
from finegrain.read_ahead import read_ahead
from finegrain.stores.store_folder import StoreFolder

# Settings whose pixels are no longer whole numbers.
FRACTIONS = (
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


class ThreadedIterator(keras.utils.PyDataset):
    """An image iterator of Keras whose batches are made by several threads.

    Random parameters are drawn one image after the other from NumPy's global state, as the
    original draws them; only what needs no chance runs in parallel. What else the iterator knows
    (`class_indices`, `samples`, `filenames`, ...) is there under its own names.
    """

    def __init__(self, iterator: Any, threads: int):
        super().__init__()
        self.iterator = iterator
        self.threads = threads
        self.generator = iterator.image_data_generator

    def __getattr__(self, name: str) -> Any:
        if name == "iterator":
            raise AttributeError(name)
        return getattr(self.iterator, name)

    def __len__(self) -> int:
        return len(self.iterator)

    def __getitem__(self, index: int) -> Any:
        it = self.iterator
        if index >= len(it):
            raise ValueError(f"there are {len(it)} batches. Received: index={index}")
        if it.seed is not None:
            np.random.seed(it.seed + it.total_batches_seen)
        it.total_batches_seen += 1
        if it.index_array is None:
            it.on_epoch_end()
        return self._made(it.index_array[it.batch_size * index : it.batch_size * (index + 1)])

    def __iter__(self) -> "ThreadedIterator":
        return self

    def __next__(self) -> Any:
        with self.iterator.lock:
            chosen = next(self.iterator.index_generator)
        return self._made(chosen)

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""
        self.iterator.on_epoch_end()

    def _made(self, chosen: np.ndarray) -> Any:
        shape = self.shape_of_one()
        batch = np.zeros((len(chosen), *shape), self.iterator.dtype)
        if self.generator.preprocessing_function:
            # The user's function may draw random numbers, and need not bear several threads.
            images = read_ahead(self.read, chosen, self.threads, len(chosen))
            for place, image in zip(batch, images, strict=True):
                place[...] = self._changed(image, self.generator.get_random_transform(shape))
            return self.with_targets(batch, chosen)
        drawn = [self.generator.get_random_transform(shape) for _ in chosen]

        def make(place: int) -> None:
            batch[place] = self._changed(self.read(chosen[place]), drawn[place])

        for _ in read_ahead(make, range(len(chosen)), self.threads, len(chosen)):
            pass
        return self.with_targets(batch, chosen)

    def _changed(self, image: np.ndarray, parameters: dict[str, Any]) -> np.ndarray:
        return self.generator.standardize(self.generator.apply_transform(image, parameters))

    def shape_of_one(self) -> tuple[int, ...]:
        raise NotImplementedError

    def read(self, index: int) -> np.ndarray:
        """One image, of its own: it may be changed in place."""
        raise NotImplementedError

    def with_targets(self, batch: np.ndarray, chosen: np.ndarray) -> Any:
        """The batch with what the iterator gives beside the images."""
        raise NotImplementedError


class ArrayIterator(ThreadedIterator):
    """Batches of a `NumpyArrayIterator`."""

    def shape_of_one(self) -> tuple[int, ...]:
        return self.iterator.x.shape[1:]

    def read(self, index: int) -> np.ndarray:
        return self.iterator.x[index].copy()

    def with_targets(self, batch: np.ndarray, chosen: np.ndarray) -> Any:
        it = self.iterator
        inputs = [batch, *(array[chosen] for array in it.x_misc)]
        images = inputs if it.x_misc else batch
        if it.y is None:
            return images
        beside = (array[chosen] for array in (it.y, it.sample_weight) if array is not None)
        return images, *beside


class FileIterator(ThreadedIterator):
    """Batches of a `DirectoryIterator` or `DataFrameIterator`."""

    def __init__(self, iterator: Any, threads: int, cache: StoreFolder | None):
        super().__init__(iterator, threads)
        whole = not any(bool(getattr(self.generator, name)) for name in FRACTIONS)
        self._keeps_bytes = np.dtype(iterator.dtype) == np.uint8 and whole
        self._pixels = _pixel_source(iterator, cache)

    def shape_of_one(self) -> tuple[int, ...]:
        return self.iterator.image_shape

    def read(self, index: int) -> np.ndarray:
        it = self.iterator
        if self._pixels is not None:
            pixels = self._pixels.read(index)
            return pixels if self._keeps_bytes else pixels.astype(np.float32)
        image = load_img(
            it.filepaths[index],
            color_mode=it.color_mode,
            target_size=it.target_size,
            interpolation=it.interpolation,
            keep_aspect_ratio=it.keep_aspect_ratio,
        )
        return img_to_array(image, data_format=it.data_format)

    def with_targets(self, batch: np.ndarray, chosen: np.ndarray) -> Any:
        it = self.iterator
        if it.class_mode == "input":
            targets: Any = batch.copy()
        elif it.class_mode in ("binary", "sparse"):
            targets = np.array([it.classes[index] for index in chosen], it.dtype)
        elif it.class_mode == "categorical":
            targets = np.zeros((len(batch), len(it.class_indices)), it.dtype)
            for row, index in zip(targets, chosen, strict=True):
                row[it.classes[index]] = 1
        elif it.class_mode == "multi_output":
            targets = [output[chosen] for output in it.labels]
        elif it.class_mode == "raw":
            targets = it.labels[chosen]
        else:
            return batch
        if it.sample_weight is None:
            return batch, targets
        return batch, targets, it.sample_weight[chosen]


def _pixel_source(iterator: Any, cache: StoreFolder | None) -> PixelSource | None:
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
    frame = Frame(*iterator.target_size)
    store = cache and PixelStore.open(cache, {"images": paths}, frame)
    return store.photos(paths) if store else PhotoFiles(paths, frame)
