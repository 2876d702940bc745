"""What surrounds the drawn animal, all nuisance, in planes (see `finegrain.drawn.paint`)."""

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from finegrain.drawn.paint import cloud_noise, to_image, to_planes

# (far, ground) colours, 0 to 1: meadow, autumn, snow, sand, road, room, dusk.
_PLACES = (
    ((0.45, 0.55, 0.40), (0.30, 0.42, 0.18)),
    ((0.55, 0.45, 0.30), (0.45, 0.36, 0.20)),
    ((0.70, 0.75, 0.80), (0.82, 0.84, 0.86)),
    ((0.60, 0.70, 0.78), (0.70, 0.60, 0.44)),
    ((0.50, 0.50, 0.48), (0.42, 0.42, 0.42)),
    ((0.66, 0.60, 0.52), (0.45, 0.33, 0.24)),
    ((0.28, 0.27, 0.33), (0.22, 0.24, 0.20)),
)


def draw_background(height: int, width: int, horizon: float, rng: Generator) -> np.ndarray:
    """A place out of focus: what is far, and below the row `horizon` textured, cluttered ground."""
    far, ground = (
        np.array(colour, np.float32) + rng.normal(0, 0.07) + rng.normal(0, 0.025, 3)
        for colour in _PLACES[rng.integers(len(_PLACES))]
    )
    rows = np.arange(height, dtype=np.float32)[:, None]
    edge = rows + 4 * cloud_noise(height, width, rng, 2)
    below = np.clip((edge - horizon) / rng.uniform(1, 12) + 0.5, 0, 1)
    scene = _planes(far) + _planes(ground - far) * below.astype(np.float32)
    cloud = cloud_noise(height, width, rng, 5)
    scene += cloud * _planes(rng.normal(rng.uniform(0.05, 0.16), 0.02, 3))
    grain = rng.standard_normal((height, width), np.float32)
    scene += grain * below.astype(np.float32) * np.float32(rng.uniform(0.02, 0.1))
    picture = to_image(scene)
    _draw_clutter(picture, horizon, far, ground, rng)
    picture = picture.filter(ImageFilter.BoxBlur(rng.uniform(0.5, 3.2)))
    return to_planes(picture)


def _draw_clutter(
    picture: Image.Image, horizon: float, far: np.ndarray, ground: np.ndarray, rng: Generator
) -> None:
    pen = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(rng.integers(0, 7)):
        shade = _colour(far + rng.normal(0, 0.14))
        x, size = rng.uniform(0, width), rng.uniform(0.04, 0.2) * width
        if rng.random() < 0.4:
            pen.line((x, -5, x + rng.normal(0, 9), horizon + 4), shade, int(size * 0.4) + 1)
        else:
            y = horizon - rng.uniform(-0.2, 1.2) * size
            pen.ellipse((x - size, y - size * 0.7, x + size, y + size * 0.7), shade)
    for _ in range(rng.integers(0, 9)):
        x, y = rng.uniform(0, width), rng.uniform(horizon, height + 5)
        size = rng.uniform(0.01, 0.06) * width
        light = rng.normal(0, 0.13)
        stone, under = _colour(ground + light), _colour(ground + light - 0.1)
        pen.ellipse((x - size, y - size / 2, x + size, y + size / 2), under)
        pen.ellipse((x - size, y - size / 2 - 1, x + size * 0.8, y + size / 3), stone)
    draw_blades(picture, int(rng.integers(0, 120)), horizon, ground, rng)


def draw_blades(
    picture: Image.Image, count: int, top: float, colour: np.ndarray, rng: Generator
) -> None:
    """Draw blades of grass rooted at random places below row `top`, in place."""
    pen = ImageDraw.Draw(picture)
    width, height = picture.size
    x, y = rng.uniform(0, width, count), rng.uniform(top, height + 8, count)
    lean, rise = rng.normal(0, 3, count), rng.uniform(4, 16, count)
    for i in range(count):
        shade = _colour(colour + rng.normal(0, 0.09))
        pen.line((x[i], y[i], x[i] + lean[i], y[i] - rise[i]), shade, 1)


def photograph(scene: np.ndarray, rng: Generator) -> Image.Image:
    """What the camera makes of a scene: exposure, colour cast, vignette, blur and sensor noise."""
    height, width = scene.shape[1:]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    light = 1 - np.float32(rng.uniform(0, 0.25)) * (x * x + y * y)
    light += np.float32(rng.normal(0, 0.12)) * x + np.float32(rng.normal(0, 0.1)) * y
    cast = rng.uniform(0.7, 1.2) * rng.normal(1, 0.05, 3)
    picture = to_image(scene * light * _planes(cast))
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.3)))
    noise = rng.standard_normal((height, width, 3), np.float32)
    noise *= np.float32(rng.uniform(1, 9))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def _planes(colour: np.ndarray) -> np.ndarray:
    return colour.astype(np.float32).reshape(3, 1, 1)


def _colour(colour: np.ndarray) -> tuple[int, ...]:
    return tuple(int(c) for c in np.clip(colour * 255, 0, 255))
