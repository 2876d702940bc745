"""The random changes of a training's images, with the ranges of Keras's ImageDataGenerator."""

import threading
from dataclasses import asdict, astuple, dataclass
from typing import Any, NamedTuple

import numpy as np

from finegrain.images.image_changes import (
    COLOURS,
    WHOLE,
    Box,
    affine,
    crop_box,
    cropped,
    erased,
    erased_box,
    recoloured,
)
from finegrain.images.warp import warp


class _Streams(threading.local):
    """A stream of chance for each thread: to make one takes fifty times as long as to seed it."""

    def __init__(self) -> None:
        self._stream = np.random.RandomState(0)

    def seeded(self, seed: int) -> np.random.RandomState:
        self._stream.seed(seed)
        return self._stream


_STREAMS = _Streams()


class Drawn(NamedTuple):
    """The changes of one image; see `affine`, `recoloured`, `cropped` and `erased`."""

    theta: float
    shear: float
    zoom_x: float
    zoom_y: float
    flip: bool
    colours: tuple[float, ...]
    crop: Box
    hole: Box | None
    noise_seed: int


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes, in `ImageDataGenerator`'s units.

    Attributes:
        rotation: largest rotation either way, degrees.
        shear: largest shear either way, degrees.
        zoom: factor between 1 - zoom and 1 + zoom, each axis for itself.
        horizontal_flip: mirror every second image.
        brightness, contrast, saturation: factor between 1 - it and 1 + it, 0 to 1; see
            `finegrain.images.image_changes.recoloured`.
        crop_area: smallest share of the image's area that a crop shows, below 1; 0 crops nothing.
            Then the other changes are those of the crop.
        erasing: share of the images of which a rectangle is replaced by noise, last of all.
    """

    rotation: float = 45.0
    shear: float = 0.2
    zoom: float = 0.2
    horizontal_flip: bool = True
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    crop_area: float = 0.0
    erasing: float = 0.0

    @property
    def changes_anything(self) -> bool:
        """Whether any range is not 0."""
        return any(astuple(self))

    @property
    def changes_colours(self) -> bool:
        """Whether brightness, contrast or saturation change."""
        return any(getattr(self, name) for name in COLOURS)

    def ranges(self) -> dict[str, Any]:
        """The ranges as JSON values, for keys of stores, the oldest of which have but these."""
        oldest = ("rotation", "shear", "zoom", "horizontal_flip")
        return {key: value for key, value in asdict(self).items() if value or key in oldest}

    def draw(self, seed: int) -> Drawn:
        """The changes that a seed stands for: `ImageDataGenerator.get_random_transform`'s."""
        # Keras seeds NumPy's global state; this is the same stream, and threads may share it.
        random = _STREAMS.seeded(seed)
        theta = random.uniform(-self.rotation, self.rotation) if self.rotation else 0.0
        shear = random.uniform(-self.shear, self.shear) if self.shear else 0.0
        low, high = 1 - self.zoom, 1 + self.zoom
        zoom_x, zoom_y = random.uniform(low, high, 2) if self.zoom else (1.0, 1.0)
        flip = random.random_sample() < 0.5 and self.horizontal_flip
        # Keras's draw for the vertical flip, which there is none of here.
        random.random_sample()
        reaches = (getattr(self, name) for name in COLOURS)
        colours = tuple(random.uniform(1 - reach, 1 + reach) for reach in reaches)
        # Whatever came later is drawn later: a seed keeps standing for what it stood for.
        numbers = random.random_sample(9)
        crop = crop_box(np, self.crop_area, numbers[:4]) if self.crop_area else WHOLE
        hole = erased_box(np, numbers[4:8]) if numbers[8] < self.erasing else None
        noise_seed = int(random.randint(2**32, dtype=np.uint32))
        return Drawn(theta, shear, zoom_x, zoom_y, flip, colours, crop, hole, noise_seed)

    def apply(self, image: np.ndarray, seed: int) -> np.ndarray:
        """A new image (H, W, 3) uint8 or float32, 0 to 255, as a seed (0 to 2**32 - 1) says."""
        drawn = self.draw(seed)
        height, width = image.shape[:2]
        rows = cropped(affine(np, *drawn[:4], height, width), drawn.crop, height, width)
        changed = warp(image, rows, flip_columns=drawn.flip)
        if self.changes_colours:
            changed = recoloured(np, changed.astype(np.float32), *drawn.colours)
            changed = np.rint(changed).astype(np.uint8) if image.dtype == np.uint8 else changed
        if drawn.hole is not None:
            noise = (
                _STREAMS.seeded(drawn.noise_seed)
                .randint(256, size=image.shape, dtype=np.uint8)
                .astype(image.dtype)
            )
            changed = erased(np, changed, drawn.hole, noise)
        return changed
