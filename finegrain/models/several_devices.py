"""Several devices of one host that compute every batch together, on JAX.

Keras's own `DataParallel` gives each device an equal part of a batch, and refuses one that does
not divide: the last of an epoch. Padding would mend that, but a padding row is one more image to
whatever looks at the whole batch, a BatchNormalization that trains or a loss of all pairs, and one
more to Keras's means of losses and accuracies. So here each device is given the whole batch, and
computes those rows of it that `SpreadRows` deals out. Where they do not divide, XLA pads the last
device's part and leaves the padding out of every sum: what is computed is what the program says of
the batch as it is, whatever the number of devices.
"""

import importlib.util
from typing import Any

import keras

from finegrain.command import command_with
from finegrain.device import find_device
from finegrain.errors import UserError
from finegrain.tensor import Shape, Tensor

ALL = 0
# Before it Keras cuts every array for its devices, whatever layout is asked for.
LEAST_KERAS = (3, 10)


class WholeBatches(keras.distribution.DataParallel):
    """Every device holds all weights and is given all of a batch."""

    def get_data_layout(self, data_shape: Shape) -> Any:
        """The same whole array on every device."""
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    def rows_layout(self, dimensions: int) -> Any:
        """Rows dealt out, in order, to devices; of an array of so many dimensions."""
        axes = [self.batch_dim_name, *[None] * (dimensions - 1)]
        return keras.distribution.TensorLayout(axes, self.device_mesh)


class SpreadRows(keras.layers.Layer):
    """Passes rows (B, ...) of any dtype through; from here on each device computes its share.

    For compiled steps only, where XLA takes any B. Without `WholeBatches` it does nothing.
    """

    def __init__(self, **kwargs: Any) -> None:
        # Under mixed precision a layer would else round pixels to float16.
        super().__init__(autocast=False, **kwargs)

    def call(self, rows: Tensor) -> Tensor:
        distribution = keras.distribution.distribution()
        if not isinstance(distribution, WholeBatches):
            return rows
        layout = distribution.rows_layout(len(rows.shape))
        return keras.distribution.distribute_tensor(rows, layout)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


def use_devices(asked: int) -> int:
    """Let the models that are built from now on be computed on so many devices; `ALL` takes all.

    Returns:
        How many.

    Raises:
        UserError: there are not so many, the backend is not JAX, or Keras is too old.
    """
    if keras.backend.backend() != "jax":
        if asked == 1 or (asked == ALL and len(find_device().names) <= 1):
            return 1
        raise UserError(_on_jax_instead(asked))
    there = keras.distribution.list_devices()
    count = len(there) if asked == ALL else asked
    if count > len(there):
        most = f"give at most {len(there)}, or {ALL} for all" if len(there) > 1 else "leave it out"
        raise UserError(
            f"--devices {asked} is more than JAX finds on this machine ({', '.join(there)}); {most}"
        )
    several = None
    if count > 1:
        _check_keras(asked)
        several = WholeBatches(devices=there[:count], auto_shard_dataset=False)
    keras.distribution.set_distribution(several)
    return count


def _check_keras(asked: int) -> None:
    version = tuple(int(part) for part in keras.__version__.split(".")[:2])
    if version < LEAST_KERAS:
        least = ".".join(map(str, LEAST_KERAS))
        raise UserError(
            f"--devices {asked} needs Keras {least} or later, and this is {keras.__version__}; "
            f'start: pip install --upgrade "keras>={least},<4"'
        )


def _on_jax_instead(asked: int) -> str:
    absent = importlib.util.find_spec("jax") is None
    install = "install JAX for your devices (docs/several-devices.md) and " if absent else ""
    return (
        f"--devices {asked} needs Keras on JAX, and here it runs on {keras.backend.backend()}, "
        f"where it would compute on one device; {install}start: KERAS_BACKEND=jax "
        f"{command_with({})}"
    )


def spread(model: keras.Model) -> keras.Model:
    """A model of the same layers, inputs and outputs that all devices in use compute together.

    Args:
        model: built of layers and their inputs, after `use_devices`.

    Returns:
        The model itself where one device is in use. Else it is not compiled, and takes batches of
        any size; save the given one, which is free of it.
    """
    if not isinstance(keras.distribution.distribution(), WholeBatches):
        return model
    inputs = keras.tree.map_structure(
        lambda tensor: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name),
        model.input,
    )
    outputs = model.call(keras.tree.map_structure(SpreadRows(), inputs))
    return keras.Model(inputs, outputs, name=model.name)
