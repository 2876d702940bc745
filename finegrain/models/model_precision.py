"""A model in another precision: computing in float32 throughout, or stored in float16."""

import tempfile
from pathlib import Path
from typing import Any

import h5py
import keras

from finegrain.models.same_weights import copy_weights
from finegrain.whole_files import written_whole


def in_full_precision(model: keras.Model) -> keras.Model:
    """A copy of a functional model, uncompiled, whose layers all compute in float32.

    Weights are float32 under every mixed policy, so nothing is lost or gained but the rounding
    on the way. The copy has weights of its own.
    """
    # What was never compiled has neither optimizer nor losses in its config.
    bare = keras.Model(model.input, model.output, name=model.name)
    full = keras.Model.from_config(_in_float32(bare.get_config()))
    copy_weights(bare, full)
    return full


def _in_float32(config: Any) -> Any:
    """The config with every dtype policy in it replaced, however deep it stands."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {"name": "float32"}}
        return {key: _in_float32(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_in_float32(value) for value in config)
    return config


def save_half_weights(model: keras.Model, path: Path) -> None:
    """Save a model's weights with the kernels in float16; `UserError` if that cannot be written.

    `model.load_weights` reads the file like any other and turns the kernels back to the model's
    own type; they come back rounded to 11 significant bits. Vectors (biases, BatchNorm
    statistics) take little room and stay as they are.
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
