"""Paint for drawn photographs: planes, noise and masks, and the fur of the animal.

Planes are pictures as arrays of shape (3, H, W), float32, 0 to 1: numpy multiplies them by one
plane several times faster than pixels with the colours last.
"""

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from finegrain.drawn.outline import Outline

# Layer -> brightness: what stands on the far side gets less light.
_LAYERS = {"far": 0.74, "tail": 0.96, "trunk": 1.0, "ear": 1.04}
# Furs, 0 to 1: black, brown, rust, fawn, cream, grey, white.
_FURS = (
    (0.13, 0.12, 0.12),
    (0.33, 0.22, 0.14),
    (0.55, 0.31, 0.16),
    (0.68, 0.53, 0.35),
    (0.83, 0.76, 0.62),
    (0.48, 0.48, 0.50),
    (0.88, 0.87, 0.85),
)


def cloud_noise(height: int, width: int, rng: Generator, octaves: int = 4) -> np.ndarray:
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


def mask(shapes: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """Coverage (height, width), 0 to 1, of outlines given in pixels."""
    # Drawn at twice the size and averaged: Pillow's polygons have no smooth edges.
    canvas = Image.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(canvas)
    for points in shapes:
        pen.polygon((points * 2).ravel().tolist(), fill=255)
    return np.asarray(canvas.reduce(2), np.float32) / 255


def blurred(coverage: np.ndarray, radius: float) -> np.ndarray:
    """A coverage averaged over squares of `radius` pixels to each side, in steps of 1/255."""
    image = Image.fromarray((coverage * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.BoxBlur(radius)), np.float32) / 255


def paint(
    outlines: list[Outline], height: int, width: int, rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The animal's colour (3, H, W) and coverage (H, W), 0 to 1; its limbs are lit as if round."""
    shapes: dict[str, list[np.ndarray]] = {}
    for outline in outlines:
        shapes.setdefault(outline.layer, []).append(outline.points)
    first, second = _fur_colours(rng)
    coat = blurred(mask(shapes.get("ink", []), height, width), 0.8)
    angle, relief = rng.uniform(0.1, np.pi - 0.1), rng.uniform(0.5, 1.3) * width / 64
    light_x, light_y = float(relief * np.cos(angle)), float(relief * np.sin(angle))
    fur = 1 + np.float32(rng.uniform(0.1, 0.3)) * cloud_noise(height, width, rng, 6)
    fur += np.float32(0.06) * rng.standard_normal((height, width), np.float32)
    shade, ink, alpha = np.zeros((3, height, width), np.float32)
    for layer, brightness in _LAYERS.items():
        cover = mask(shapes[layer], height, width)
        # A blurred mask stands in for the roundness of the limb: its slope catches the light.
        hill = blurred(cover, 2.0) + 1.5 * blurred(cover, width / 32)
        slope_y, slope_x = np.gradient(hill)
        lit = brightness * fur * (0.62 + 0.2 * hill + light_x * slope_x + light_y * slope_y)
        shade += (np.clip(lit, 0.15, 1.6) - shade) * cover
        ink += ((coat if layer in ("trunk", "far") else 0.0) - ink) * cover
        alpha = np.maximum(alpha, cover)
    shade *= 1 - 0.85 * mask(shapes["dark"], height, width)
    return _ruffle((first + (second - first) * ink) * shade, alpha, rng)


def _fur_colours(rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two furs, each (3, 1, 1), that differ in brightness enough to be told apart."""
    furs = np.array(_FURS) + rng.normal(0, 0.03, (len(_FURS), 1))
    furs = (furs + rng.normal(0, 0.015, furs.shape)).astype(np.float32)
    first = rng.integers(len(furs))
    apart = np.abs(furs.mean(axis=1) - furs[first].mean()) > 0.2
    second = rng.choice(np.flatnonzero(apart))
    return furs[first].reshape(3, 1, 1), furs[second].reshape(3, 1, 1)


def _ruffle(colour: np.ndarray, alpha: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Shift pixels about by a pixel or so: fur has no clean edge."""
    height, width = alpha.shape
    amount = rng.uniform(0.3, 0.9)
    shift = rng.standard_normal((2, height, width), np.float32) * np.float32(amount)
    shift += np.stack([cloud_noise(height, width, rng, 5) for _ in range(2)])
    rows = np.clip(np.arange(height)[:, None] + np.rint(shift[0]).astype(np.int32), 0, height - 1)
    columns = np.clip(np.arange(width)[None] + np.rint(shift[1]).astype(np.int32), 0, width - 1)
    return colour[:, rows, columns], alpha[rows, columns]
