"""A graph in 8-bit integers: smaller, and on most CPUs the fastest by far.

Weights and activations get a scale each, chosen by what a few photographs make of them (Jacob et
al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", arXiv 1712.05877). NNCF, OpenVINO's tool for it, is an optional requirement.
"""

import contextlib
import importlib.util
import io
import logging
from typing import TYPE_CHECKING

import numpy as np

from finegrain.errors import UserError
from finegrain.inference.openvino_engine import BFLOAT16, INT8, load_openvino, without_reports

if TYPE_CHECKING:
    import openvino

CALIBRATION_IMAGES = 128
# Pixels from which on a judgement is repaid: 10,000 images at 224. On two cores it takes 6 seconds
# of MobileNetV2 at 224, 35 of InceptionV3 at 299, and then spares three and two fifths of the time.
REPAYING_PIXELS = 5e8


def can_quantize() -> bool:
    """Whether NNCF is installed."""
    return importlib.util.find_spec("nncf") is not None


def check_can_quantize() -> None:
    """Refuse `--inference int8` where NNCF is missing, a `UserError`."""
    if not can_quantize():
        raise UserError(
            "--inference int8 needs NNCF, which is not installed: "
            "pip install -r requirements-int8.txt; or leave it out"
        )


def faster_precisions() -> list[str]:
    """The precisions that may be faster than float32 here, the fastest first."""
    abilities = load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    known = {INT8: can_quantize() and "INT8" in abilities, BFLOAT16: "BF16" in abilities}
    return [precision for precision, is_known in known.items() if is_known]


def quantized(graph: "openvino.Model", images: np.ndarray) -> "openvino.Model":
    """The graph in INT8, for images of the kind of the first of these, (N, H, W, 3).

    Of networks whose activations are not the same to both sides of zero the activations are
    quantized with an offset, the weights without (NNCF's preset `mixed`).
    """
    load_openvino()
    # It draws a bar for each of its steps.
    with contextlib.redirect_stdout(io.StringIO()), without_reports():
        import nncf

        nncf.set_log_level(logging.ERROR)
        pictures = nncf.Dataset(list(images[:CALIBRATION_IMAGES]), lambda image: image[None])
        return nncf.quantize(
            graph,
            pictures,
            subset_size=CALIBRATION_IMAGES,
            preset=nncf.QuantizationPreset.MIXED,
            fast_bias_correction=True,
        )
