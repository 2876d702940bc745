"""How a training computes: on which device, in which precision, compiled or not."""

import os
from typing import Literal, NamedTuple

import keras

from finegrain.device import CPU, TPU, Device, find_device
from finegrain.errors import UserError
from finegrain.models.several_devices import use_devices

AskedPrecision = Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"]
AskedCompilation = Literal["auto", "on", "off"]
FLOAT32, MIXED_FLOAT16, MIXED_BFLOAT16 = "float32", "mixed_float16", "mixed_bfloat16"


class Precision(NamedTuple):
    """A Keras dtype policy and why it was taken."""

    policy: str
    reason: str


class Compilation(NamedTuple):
    """The `jit_compile` of `Model.compile` and why it was taken."""

    jit_compile: bool | str
    reason: str


class Computing(NamedTuple):
    """What was chosen for the device found."""

    device: Device
    precision: Precision
    compilation: Compilation
    devices: int = 1

    def __str__(self) -> str:
        compiled = "compiled" if self.compilation.jit_compile else "not compiled"
        together = f", {self.devices} devices together" if self.devices > 1 else ""
        return (
            f"{self.device}{together}, {self.precision.policy} ({self.precision.reason}), "
            f"{compiled} ({self.compilation.reason})"
        )

    @property
    def idle(self) -> str | None:
        """What to say of GPUs or TPUs that the training leaves alone; None where it uses all."""
        there = len(self.device.names)
        if self.device.kind == CPU or self.devices >= there:
            return None
        how = "--devices 0 takes all"
        if self.device.backend != "jax":
            how = "with KERAS_BACKEND=jax before the command and --devices 0 all of them train"
        return f"{there - self.devices} of {there} devices stand idle; {how}"


def set_up_computing(
    precision: AskedPrecision,
    jit: AskedCompilation,
    seed: int,
    deterministic: bool = False,
    devices: int = 1,
) -> Computing:
    """Make the backend compute as asked, on a CPU repeatably; before any model is built.

    Args:
        precision: a dtype policy, or `auto` for what suits the device.
        jit: whether to compile, or `auto`.
        seed: of Python, NumPy and the backend.
        deterministic: repeatably on a GPU too, whose fastest kernels add up in any order.
        devices: so many together, 0 for all there are.

    Raises:
        UserError: on TensorFlow, compiled and repeatable kernels are both asked for; there are
            not so many devices, or the backend or `jit` lets only one compute.
    """
    backend = keras.backend.backend()
    if deterministic and jit == "on" and backend == "tensorflow":
        raise UserError(
            "--deterministic and --jit on exclude each other on TensorFlow, whose compiled steps "
            "are not repeatable; leave one out"
        )
    if deterministic:
        _ask_for_repeatable_kernels(backend)
    used = use_devices(devices)
    if used > 1 and jit == "off":
        raise UserError(
            f"--jit off computes step by step, on one device, and --devices {devices} wants "
            f"{used}; leave one out"
        )
    device = find_device()
    computing = Computing(
        device, choose_precision(precision, device), choose_compilation(jit, device), used
    )
    keras.config.set_dtype_policy(computing.precision.policy)
    keras.utils.set_random_seed(seed)
    is_repeatable = deterministic or device.kind == CPU
    if is_repeatable and backend == "tensorflow" and computing.compilation.jit_compile is False:
        import tensorflow

        # XLA and repeatable kernels exclude each other.
        tensorflow.config.experimental.enable_op_determinism()
    return computing


def _ask_for_repeatable_kernels(backend: str) -> None:
    """What JAX and PyTorch must be told before they start the device."""
    if backend == "jax":
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
    if backend == "torch":
        import torch

        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def choose_precision(asked: str, device: Device) -> Precision:
    """The dtype policy to train under; `asked` is one, or `auto`.

    Weights, embeddings, heads and losses are float32 under every policy; what changes is how
    the backbone multiplies.
    """
    if asked != "auto":
        return Precision(asked, "as asked")
    if device.kind == TPU:
        return Precision(MIXED_BFLOAT16, "a TPU multiplies bfloat16")
    if device.kind == CPU:
        if device.fast_bfloat16 and device.backend == "tensorflow":
            # 1.5 times as fast for Xception, but MobileNetV2's embeddings come out 16 % off: its
            # narrow linear layers suffer from 8 bits. So it is the user's to choose.
            return Precision(
                FLOAT32, "mixed_bfloat16 is faster here, but coarse for some backbones"
            )
        return Precision(FLOAT32, "the safe choice on a CPU")
    if device.capability is None:
        return Precision(FLOAT32, "the GPU does not say what it is fast at")
    version = "{}.{}".format(*device.capability)
    # bfloat16 is as fast from 8.0 on, but has 8 bits where float16 has 11.
    if device.capability >= (7, 0):
        return Precision(MIXED_FLOAT16, f"compute capability {version} is fast at float16")
    return Precision(
        FLOAT32, f"at compute capability {version} float16 would save memory, not time"
    )


def choose_compilation(asked: str, device: Device) -> Compilation:
    """What to pass to `Model.compile(jit_compile=)`; `asked` is `auto`, `on` or `off`.

    On TensorFlow XLA and repeatable kernels exclude each other: Keras switches XLA off, with a
    warning, while `enable_op_determinism` is on. So `on` gives up that the same seed makes the
    same numbers.
    """
    if asked == "off":
        return Compilation(False, "as asked")
    if device.backend == "jax":
        return Compilation(True if asked == "on" else "auto", "JAX is made to be compiled")
    if asked == "on":
        return Compilation(True, "as asked")
    if device.backend == "torch":
        return Compilation(False, "torch.compile takes longer than it saves in a short training")
    if device.kind == CPU:
        return Compilation(False, "XLA is slower on a CPU, after minutes of compiling")
    return Compilation(False, "XLA compiles each size of batch anew and is not repeatable")
