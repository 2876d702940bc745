"""Weights files at half the size, for weights that live in the repository."""

import tempfile
from pathlib import Path

import h5py
import keras

from finegrain.whole_files import written_whole


def save_half_weights(model: keras.Model, path: Path) -> None:
    """Save a model's weights with the kernels in float16.

    `model.load_weights` reads the file like any other and turns the kernels back to the model's
    own type; they come back rounded to 11 significant bits. Vectors (biases, BatchNorm
    statistics) take little room and stay as they are.

    Args:
        model: a built model.
        path: the file to write, ending in `.weights.h5`.

    Raises:
        finegrain.errors.UserError: the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder, written_whole(path) as beside:
        full = Path(folder) / "full.weights.h5"
        model.save_weights(full)
        with h5py.File(full) as source, h5py.File(beside, "w") as target:

            def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
                if isinstance(item, h5py.Dataset):
                    values = item[()]
                    values = values.astype("float16") if values.ndim > 1 else values
                    # Without the time of day the same weights make the same file.
                    target.create_dataset(name, data=values, track_times=False)
                else:
                    target.require_group(name)
                for key, value in item.attrs.items():
                    target[name].attrs[key] = value

            source.visititems(copy)
