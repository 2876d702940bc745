"""Paint for the drawn animal: fur in two colours, lit as if its limbs were round."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from finegrain.drawn.outline import Outline
from finegrain.drawn.texture import cloud_noise

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


def paint(
    outlines: list[Outline], height: int, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The animal's colour (3, H, W) and coverage (H, W), both 0 to 1."""
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


def _fur_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two furs, each (3, 1, 1), that differ in brightness enough to be told apart."""
    furs = np.array(_FURS) + rng.normal(0, 0.03, (len(_FURS), 1))
    furs = (furs + rng.normal(0, 0.015, furs.shape)).astype(np.float32)
    first = rng.integers(len(furs))
    apart = np.abs(furs.mean(axis=1) - furs[first].mean()) > 0.2
    second = rng.choice(np.flatnonzero(apart))
    return furs[first].reshape(3, 1, 1), furs[second].reshape(3, 1, 1)


def _ruffle(
    colour: np.ndarray, alpha: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Shift pixels about by a pixel or so: fur has no clean edge."""
    height, width = alpha.shape
    amount = rng.uniform(0.3, 0.9)
    shift = rng.standard_normal((2, height, width), np.float32) * np.float32(amount)
    shift += np.stack([cloud_noise(height, width, rng, 5) for _ in range(2)])
    rows = np.clip(np.arange(height)[:, None] + np.rint(shift[0]).astype(np.int32), 0, height - 1)
    columns = np.clip(np.arange(width)[None] + np.rint(shift[1]).astype(np.int32), 0, width - 1)
    return colour[:, rows, columns], alpha[rows, columns]


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
