"""What is chosen for which device."""

import os

import keras
import pytest

from finegrain.device import Device, find_device, multiplies_bfloat16
from finegrain.errors import UserError
from finegrain.training import computing
from finegrain.training.computing import choose_compilation, choose_precision

CPUINFO = "processor\t: 0\nflags\t\t: fpu sse avx2{}\nbugs\t\t: spectre\n\nprocessor\t: 1\n"


def gpu(major, minor, backend="tensorflow"):
    return Device(backend, "gpu", ("Some GPU",), (major, minor))


@pytest.mark.parametrize(
    "device,policy,word",
    [
        (gpu(9, 0), "mixed_float16", "9.0"),
        (gpu(8, 6, "jax"), "mixed_float16", "8.6"),
        (gpu(12, 0, "torch"), "mixed_float16", "12.0"),
        (gpu(7, 5), "mixed_float16", "7.5"),
        (gpu(6, 1), "float32", "6.1"),
        (Device("jax", "gpu", ("gfx90a",)), "float32", "does not say"),
        (Device("jax", "tpu", ("TPU v4",)), "mixed_bfloat16", "TPU"),
        (Device("tensorflow", fast_bfloat16=True), "float32", "coarse"),
        (Device("tensorflow"), "float32", "safe"),
        (Device("jax", fast_bfloat16=True), "float32", "safe"),
        (Device("torch", fast_bfloat16=True), "float32", "safe"),
    ],
)
def test_precision_goes_by_the_device(device, policy, word):
    chosen = choose_precision("auto", device)
    assert chosen.policy == policy
    assert word in chosen.reason
    assert choose_precision("mixed_float16", device) == ("mixed_float16", "as asked")


@pytest.mark.parametrize(
    "asked,device,value",
    [
        ("auto", Device("tensorflow"), False),
        ("auto", gpu(8, 0), False),
        ("on", gpu(8, 0), True),
        ("auto", gpu(8, 0, "jax"), "auto"),
        ("on", Device("jax"), True),
        ("off", Device("jax"), False),
        ("auto", gpu(8, 0, "torch"), False),
        ("on", gpu(8, 0, "torch"), True),
    ],
)
def test_compilation_goes_by_the_backend(asked, device, value):
    chosen = choose_compilation(asked, device)
    assert chosen.jit_compile == value
    assert chosen.reason


@pytest.mark.parametrize(
    "flags,expected",
    [("", False), (" avx512_bf16", True), (" amx_bf16 amx_tile", True), (" avx512_bf16x", False)],
)
def test_bfloat16_is_told_from_the_flags_of_the_cpu(tmp_path, flags, expected):
    (tmp_path / "cpuinfo").write_text(CPUINFO.format(flags))
    assert multiplies_bfloat16(tmp_path / "cpuinfo") is expected


def test_where_the_system_says_nothing_there_is_no_bfloat16(tmp_path):
    assert multiplies_bfloat16(tmp_path / "missing") is False


def test_finds_this_machines_device():
    device = find_device()
    assert device.backend == keras.backend.backend()
    assert str(device).endswith(f", {device.backend}")
    assert device.kind != "cpu" or str(device).startswith("CPU (")
    assert (device.kind == "cpu") == (not device.names)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("found", [gpu(8, 0), Device("tensorflow")])
def test_a_gpu_is_repeatable_where_that_is_asked_for(found, deterministic, monkeypatch):
    import tensorflow

    asked = []
    monkeypatch.setattr(computing, "find_device", lambda: found)
    monkeypatch.setattr(
        tensorflow.config.experimental, "enable_op_determinism", lambda: asked.append(True)
    )
    try:
        computing.set_up_computing("float32", "auto", 0, deterministic)
    finally:
        keras.config.set_dtype_policy("float32")
    assert bool(asked) == (deterministic or found.kind == "cpu")


def test_compiled_and_repeatable_at_once_are_refused():
    with pytest.raises(UserError, match="exclude each other on TensorFlow"):
        computing.set_up_computing("float32", "on", 0, deterministic=True)


def test_jax_is_told_before_it_starts(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_of=another")
    computing._ask_for_repeatable_kernels("jax")
    assert os.environ["XLA_FLAGS"] == "--xla_of=another --xla_gpu_deterministic_ops=true"
