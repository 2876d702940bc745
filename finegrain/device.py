"""The device the backend will compute on, and what it is good at."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

CPU, GPU, TPU = "cpu", "gpu", "tpu"

# Linux's names for the instructions that multiply bfloat16.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}

# The kind of the devices found, their names, and the CUDA compute capability of the first.
Found: TypeAlias = tuple[str, list[str], tuple[int, int] | None]


@dataclass(frozen=True)
class Device:
    """What is known of the device that a Keras backend computes on."""

    backend: str
    kind: str = CPU
    names: tuple[str, ...] = ()  # of all GPUs or TPUs at hand; the first ones compute
    capability: tuple[int, int] | None = None  # CUDA's of the first GPU; None if unknown
    fast_bfloat16: bool = False  # whether the CPU has instructions that multiply bfloat16

    def __str__(self) -> str:
        return f"{', '.join(self.names) or f'CPU ({os.cpu_count()} cores)'}, {self.backend}"


def find_device() -> Device:
    """Ask the backend what it found."""
    import keras

    backend = keras.backend.backend()
    found = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend]()
    if found is None:
        return Device(backend, fast_bfloat16=multiplies_bfloat16())
    kind, names, capability = found
    return Device(backend, kind, tuple(names), capability)


def gpu_is_likely() -> bool:
    """Whether this machine may have a GPU that a backend finds, told without importing one."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(
        next(Path("/dev").glob(name), None) for name in ("nvidia[0-9]", "kfd")
    )


def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU has bfloat16 instructions; False where Linux does not tell."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return bool(BFLOAT16_FLAGS & set(flags.split()))


def _tensorflow() -> Found | None:
    import tensorflow

    # Not the logical devices: to list these starts all GPUs with the settings so far.
    gpus = tensorflow.config.get_visible_devices("GPU")
    if not gpus:
        return None
    details = [tensorflow.config.experimental.get_device_details(gpu) for gpu in gpus]
    names = [detail.get("device_name", "GPU") for detail in details]
    return GPU, names, details[0].get("compute_capability")


def _jax() -> Found | None:
    import jax

    devices = [device for device in jax.devices() if device.platform != CPU]
    if not devices:
        return None
    kind = TPU if devices[0].platform == TPU else GPU
    names = [device.device_kind for device in devices]
    return kind, names, _capability(getattr(devices[0], "compute_capability", ""))


def _torch() -> Found | None:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if not names:
        return (GPU, ["Apple GPU"], None) if torch.backends.mps.is_available() else None
    # AMD's GPUs answer too, with numbers of their own.
    return GPU, names, None if torch.version.hip else torch.cuda.get_device_capability(0)


def _capability(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d+)\.(\d+)", str(text))
    return (int(match[1]), int(match[2])) if match else None
