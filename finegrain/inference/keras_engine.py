"""A Keras model that computes the answers itself, on whatever device its backend has."""

import keras
import numpy as np

from finegrain.models.several_devices import spread


class KerasEngine:
    """Runs a model of one input as it is, on whatever devices its backend uses.

    A short batch is filled up with zeros to a power of two, or to the longest so far, since a
    backend compiles each shape anew: every odd batch would cost JAX seconds. Its name
    tells backend and dtype policy, e.g. `Keras, tensorflow float32`.
    """

    def __init__(self, model: keras.Model):
        self._takes_integers = bool(getattr(model, "inputs", None))
        # A subclassed model cannot be taken apart, and is computed by every device as a whole.
        self._model = spread(model) if self._takes_integers else model
        self._longest = 0
        policy = keras.config.dtype_policy().name
        self.name = f"Keras, {keras.backend.backend()} {policy}"

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        """All outputs, (B, ...) float32 each, of a batch (B, H, W, 3), uint8 or float32."""
        count = len(batch)
        self._longest = max(self._longest, count)
        if not self._takes_integers:
            # A subclassed model computes with what it is given.
            batch = batch.astype("float32", copy=False)
        filled = min(self._longest, 1 << (count - 1).bit_length())
        if count < filled:
            black = np.zeros((filled - count, *batch.shape[1:]), batch.dtype)
            batch = np.concatenate([batch, black])
        # Three times as fast as predict() on a batch, and unlike a bare call it runs compiled.
        outputs = self._model.predict_on_batch(batch)
        if not isinstance(outputs, (list, tuple)):
            outputs = [outputs]
        return [np.asarray(output, dtype="float32")[:count] for output in outputs]
