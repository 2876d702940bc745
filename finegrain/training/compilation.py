"""Whether to compile the model's steps, by XLA or torch.compile."""

from typing import NamedTuple

from finegrain.device import CPU, Device


class Compilation(NamedTuple):
    """The `jit_compile` of `Model.compile` and why it was taken."""

    jit_compile: bool | str
    reason: str


def choose_compilation(asked: str, device: Device) -> Compilation:
    """What to pass to `Model.compile(jit_compile=)`.

    On TensorFlow XLA and repeatable kernels exclude each other: Keras switches XLA off, with a
    warning, while `enable_op_determinism` is on. So `on` gives up that the same seed makes the
    same numbers.

    Args:
        asked: `auto`, `on` or `off`.
        device: what computes.
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
