"""How a training computes: on which device, in which precision, compiled or not."""

from dataclasses import dataclass
from typing import Literal

import keras

from finegrain.device import Device, find_device
from finegrain.training.compilation import Compilation, choose_compilation
from finegrain.training.precision import Precision, choose_precision

AskedPrecision = Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"]
AskedCompilation = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class Computing:
    """What was chosen for the device found.

    Attributes:
        device: what computes.
        precision: Keras's dtype policy, and why.
        compilation: whether to compile, and why.
    """

    device: Device
    precision: Precision
    compilation: Compilation

    def __str__(self) -> str:
        compiled = "compiled" if self.compilation.jit_compile else "not compiled"
        return (
            f"{self.device}, {self.precision.policy} ({self.precision.reason}), "
            f"{compiled} ({self.compilation.reason})"
        )


def set_up_computing(precision: AskedPrecision, jit: AskedCompilation, seed: int) -> Computing:
    """Make the backend compute as asked, and repeatably; before any model is built.

    Args:
        precision: a dtype policy, or `auto` for what suits the device.
        jit: whether to compile, or `auto`.
        seed: of Python, NumPy and the backend.
    """
    device = find_device()
    computing = Computing(
        device, choose_precision(precision, device), choose_compilation(jit, device)
    )
    keras.config.set_dtype_policy(computing.precision.policy)
    keras.utils.set_random_seed(seed)
    if device.backend == "tensorflow" and computing.compilation.jit_compile is False:
        import tensorflow

        # XLA and repeatable kernels exclude each other.
        tensorflow.config.experimental.enable_op_determinism()
    return computing
