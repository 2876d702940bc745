"""Noise for surfaces, and planes: pictures as arrays of shape (3, H, W).

numpy multiplies planes by one plane several times faster than pixels with the colours last.
"""

import numpy as np
from PIL import Image


def cloud_noise(height: int, width: int, rng: np.random.Generator, octaves: int = 4) -> np.ndarray:
    """Smooth noise of several octaves, (height, width) float32, mean 0, about -1 to 1."""
    cells = 3
    total = rng.standard_normal((cells, cells), np.float32)
    for octave in range(1, octaves):
        # The sum grows with its cells, so that only the last step works at full size.
        cells *= 2
        total = _enlarge(total, cells, cells)
        total += rng.standard_normal((cells, cells), np.float32) * np.float32(0.6**octave)
    return _enlarge(total, height, width) * np.float32(0.5)


def _enlarge(noise: np.ndarray, height: int, width: int) -> np.ndarray:
    image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    return np.array(image)


def to_image(scene: np.ndarray) -> Image.Image:
    """8-bit RGB picture of planes (3, H, W) of 0 to 1; what is outside is clipped."""
    pixels = (np.clip(scene, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def to_planes(picture: Image.Image) -> np.ndarray:
    """Planes (3, H, W) float32, 0 to 1, of an RGB picture."""
    planes = np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))
    return planes.astype(np.float32) / 255
