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

from finegrain.inference.openvino_engine import load_openvino, without_reports

if TYPE_CHECKING:
    import openvino

CALIBRATION_IMAGES = 128


def can_quantize() -> bool:
    """Whether NNCF is installed."""
    return importlib.util.find_spec("nncf") is not None


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
