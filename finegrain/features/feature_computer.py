"""Compute features of photographs with the part of a model that stands still."""

import threading
from collections.abc import Mapping

import keras
import numpy as np

from finegrain.stores.row_store import RowKind


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
    """

    def __init__(
        self,
        below: keras.Model,
        kinds: Mapping[str, RowKind],
        openvino: bool,
        expected_images: int,
    ):
        self.kinds = dict(kinds)
        self._below = below
        self._openvino = openvino
        self._expected = expected_images
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
            outputs = self._below.predict_on_batch(images)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        features = {}
        for (kind, what), output in zip(self.kinds.items(), outputs, strict=True):
            with np.errstate(over="ignore"):
                values = np.asarray(output).astype(what.dtype)
            if not np.isfinite(values).all():
                raise FeatureOverflow(f"{kind} holds numbers beyond {what.dtype}")
            features[kind] = values
        return features
