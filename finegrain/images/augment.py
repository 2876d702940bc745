"""The recipe's augmentation, with the parameters of Keras's ImageDataGenerator."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from finegrain.images.fused_generator import FusedImageDataGenerator


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes, in `ImageDataGenerator`'s units.

    Attributes:
        rotation: largest rotation either way, degrees.
        shear: largest shear either way, degrees.
        zoom: zoom factor between 1 - zoom and 1 + zoom, each axis for itself.
        horizontal_flip: mirror every second image.
    """

    rotation: float = 45.0
    shear: float = 0.2
    zoom: float = 0.2
    horizontal_flip: bool = True

    @property
    def changes_anything(self) -> bool:
        """Whether any range is not 0."""
        return bool(self.rotation or self.shear or self.zoom or self.horizontal_flip)

    def generator(self) -> FusedImageDataGenerator:
        """The same numbers as an `ImageDataGenerator`; no rescaling, the model does that."""
        return FusedImageDataGenerator(
            rotation_range=self.rotation,
            shear_range=self.shear,
            zoom_range=self.zoom,
            horizontal_flip=self.horizontal_flip,
        )


class SeededTransform:
    """Random transforms of an `ImageDataGenerator`, each told by its own seed.

    The generator draws from NumPy's global state; here every draw is seeded, locked and leaves
    that state as it was, so threads may share one and the result does not depend on their order.

    Args:
        generator: whose ranges to draw from.
    """

    def __init__(self, generator: FusedImageDataGenerator):
        self.generator = generator
        self._lock = threading.Lock()

    def __call__(self, image: np.ndarray, seed: int) -> np.ndarray:
        """Transform one image.

        Args:
            image: (H, W, 3) uint8, or float32 of any range.
            seed: 0 to 2**32 - 1.

        Returns:
            Array of the same shape and dtype.
        """
        return self.generator.apply_transform(image, self.draw(image.shape, seed))

    def draw(self, shape: tuple[int, ...], seed: int) -> dict[str, Any]:
        """The parameters that a seed stands for, as from `get_random_transform`."""
        with self._lock:
            state = np.random.get_state()
            parameters = self.generator.get_random_transform(shape, seed)
            np.random.set_state(state)
        return parameters
