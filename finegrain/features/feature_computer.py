"""Compute features of photographs with the part of a model that stands still."""

import threading
from collections.abc import Mapping

import keras
import numpy as np

from finegrain.inference.inference import Inference, open_inference
from finegrain.inference.keras_engine import KerasEngine
from finegrain.models.full_precision import in_full_precision
from finegrain.stores.row_layout import RowKind


class FeatureOverflow(Exception):
    """A feature is too large for the dtype it is stored with."""


class FeatureComputer:
    """Features of a batch of photographs, in the dtype they are stored with.

    The engine (OpenVINO or Keras) is opened with the first batch, since it takes seconds and a
    full store needs none. Threads may share a computer.

    Args:
        below: `image` (B, H, W, 3) -> list of features, in the order of `kinds`.
        kinds: what the features are stored as.
        openvino: use OpenVINO where it is installed and the device is a CPU.
        expected_images: about how many photographs will come; for a few, no engine is opened
            that takes longer to start than it saves.
        bfloat16: let OpenVINO compute in bfloat16 where that agrees well with Keras.
    """

    def __init__(
        self,
        below: keras.Model,
        kinds: Mapping[str, RowKind],
        openvino: bool,
        expected_images: int,
        bfloat16: bool = True,
    ):
        self.kinds = dict(kinds)
        self._below = below
        self._openvino = openvino
        self._expected = expected_images
        self._bfloat16 = bfloat16
        self._inference: Inference | None = None
        self._lock = threading.Lock()

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the features of images.

        Args:
            images: (B, H, W, 3), RGB 0 to 255.

        Returns:
            Kind -> (B, ...).

        Raises:
            FeatureOverflow: a feature is no finite number in its dtype.
        """
        with self._lock:
            if self._inference is None:
                self._inference = self._open(images)
            outputs = self._inference.run(images)
        features = {}
        for (kind, what), output in zip(self.kinds.items(), outputs, strict=True):
            with np.errstate(over="ignore"):
                values = np.asarray(output).astype(what.dtype)
            if not np.isfinite(values).all():
                raise FeatureOverflow(f"{kind} holds numbers beyond {what.dtype}")
            features[kind] = values
        return features

    def _open(self, images: np.ndarray) -> Inference:
        below, mixed = self._below, self._below.dtype_policy.compute_dtype != "float32"
        # OpenVINO chooses its own precision, and is to be compared with the full one.
        opened = open_inference(
            in_full_precision(below) if mixed and self._openvino else below,
            images,
            self._openvino,
            self._expected,
            self._bfloat16,
        )
        if mixed and self._openvino and isinstance(opened.compute, KerasEngine):
            opened = open_inference(below, images, False, self._expected)
        print(f"  computing {opened.describe()}", flush=True)
        return opened
