"""Open a model for many answers: through OpenVINO on a CPU where that pays, else Keras."""

import importlib.util

import keras
import numpy as np

from finegrain.device import CPU, find_device
from finegrain.errors import one_line
from finegrain.inference.agreement import AGREEMENT_IMAGES, agreement, percent
from finegrain.inference.conversion import ConversionFailed, converted
from finegrain.inference.keras_engine import KerasEngine
from finegrain.inference.opened import Inference
from finegrain.inference.openvino_engine import (
    BFLOAT16,
    FLOAT32,
    PRECISION_NAMES,
    OpenVINOEngine,
    load_openvino,
)
from finegrain.memory import check_memory_fits
from finegrain.models.needed_memory import least_answer_bytes

# Largest relative L2 error to accept. Rounding to bfloat16 (8 bits) in each of a hundred layers
# adds up: measured 0.4 % for Xception, 1.5 % for InceptionV3, but 16 % for MobileNetV2 1.0 with
# ImageNet weights, whose narrow linear layers suffer from it. In float32 only the order of sums
# differs, 0.0003 %, so more than the bound is an error of the conversion.
TOLERANCE = {BFLOAT16: 0.05, FLOAT32: 0.001}

# Pixels that must wait before the conversion has paid for itself, by backend. On two cores:
# TensorFlow spends 4 s on it, which Xception at 299 makes good in 70 images, MobileNetV2 at 224
# in 300, its small brother at 96 in 2000. The others start a process with TensorFlow for it,
# 10 s; PyTorch is as fast as TensorFlow, JAX six times slower.
PAYING_PIXELS = {"tensorflow": 12e6, "torch": 30e6, "jax": 5e6}


def open_inference(
    model: keras.Model,
    sample: np.ndarray,
    use_openvino: bool = True,
    expected_images: int | None = None,
    bfloat16: bool = True,
) -> Inference:
    """Open a finished or frozen model for many answers.

    OpenVINO computes where it is installed, the backend has only the CPU, and enough images wait.
    It is first compared with Keras on a few images: bfloat16 is taken where the CPU multiplies it
    and the answers stay close to Keras's; else float32; and Keras itself where that disagrees too.

    Args:
        model: one input (B, H, W, 3), one or several outputs; OpenVINO keeps the weights, of a
            model in training too, as they are now.
        sample: (N, H, W, 3), N at least 1, RGB 0 to 255, uint8 or float32: images of the kind
            that will come, the first eight are compared. The batches come in its dtype.
        expected_images: how many will be computed; None for many.
        bfloat16: False where rounding to 8 bits is too coarse for what the answers are used for.
    """
    if sample.ndim != 4 or len(sample) == 0 or sample.dtype not in ("uint8", "float32"):
        raise ValueError(
            "`sample` must be (N,H,W,3) uint8 or float32 with N >= 1. "
            f"Received: {sample.dtype} {sample.shape}"
        )
    own = KerasEngine(model)
    reason = _reason_for_keras(sample, use_openvino, expected_images)
    if reason:
        return Inference(own, reason)
    sample = sample[:AGREEMENT_IMAGES]
    expected = own.run(sample)
    if not all(np.isfinite(answer).all() for answer in expected):
        return Inference(own, "the model's answers are not finite, so OpenVINO is left out")
    try:
        return _open_agreeing(model, own, sample, expected, bfloat16)
    except ConversionFailed as error:
        return Inference(own, f"OpenVINO cannot convert the model ({error})")
    except (ImportError, RuntimeError) as error:
        # A broken installation, or a CPU that OpenVINO does not know.
        return Inference(own, f"OpenVINO does not run ({one_line(error)})")


def _open_agreeing(
    model: keras.Model,
    own: KerasEngine,
    sample: np.ndarray,
    expected: list[np.ndarray],
    bfloat16: bool,
) -> Inference:
    """The fastest engine that agrees with Keras."""
    graph = converted(model, sample.dtype.name)
    abilities = load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    faster = [BFLOAT16] if bfloat16 and "BF16" in abilities else []
    worse = ""
    for precision in (*faster, FLOAT32):
        engine = OpenVINOEngine(graph, precision)
        found = agreement(engine.run(sample), expected)
        if found.error <= TOLERANCE[precision]:
            return Inference(engine, f"agrees with Keras on {found}{worse}")
        worse += f"; {PRECISION_NAMES[precision]} is off by {percent(found.error)}"
    return Inference(own, f"OpenVINO disagrees{worse}")


def _reason_for_keras(sample: np.ndarray, use_openvino: bool, expected_images: int | None) -> str:
    """Why not even to try OpenVINO, empty to try it."""
    if not use_openvino:
        return "OpenVINO was declined"
    if find_device().kind != CPU:
        return "the backend found a faster device than the CPU"
    if importlib.util.find_spec("openvino") is None:
        return (
            "OpenVINO is not installed, which is faster on a CPU: pip install -r requirements.txt"
        )
    height, width = sample.shape[1:3]
    enough = PAYING_PIXELS[keras.backend.backend()] / (height * width)
    if expected_images is not None and expected_images < enough:
        return f"OpenVINO takes longer to start than it saves below {enough:.0f} such images"
    return ""


def check_answers_fit(model: keras.Model, batch: int, use_openvino: bool, remedy: str) -> None:
    """Refuse a model that can never answer a batch of images in the memory of this machine."""
    if find_device().kind != CPU:
        return
    count = images_at_once(batch, use_openvino)
    height, width = model.input_shape[1:3]
    check_memory_fits(
        least_answer_bytes(model, count),
        f"answering {count} images of {height} x {width} pixels at a time",
        remedy,
    )


def images_at_once(batch: int, use_openvino: bool) -> int:
    """How many images of a batch certainly pass the model at a time: all of them in Keras.

    OpenVINO cuts a batch up, but Keras answers first for the images the two are compared on.
    """
    if use_openvino and importlib.util.find_spec("openvino") is not None:
        return min(batch, AGREEMENT_IMAGES)
    return batch
