"""One drawn photograph: an animal of a breed, posed, lit and set into a scene."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from finegrain.datasets.drawn_animal import Outline, animal_outlines
from finegrain.datasets.drawn_breed import Breed
from finegrain.datasets.drawn_scene import (
    cloud_noise,
    draw_background,
    draw_blades,
    photograph,
    to_image,
    to_planes,
)

_ASPECTS = (4 / 3, 3 / 2, 1.0, 16 / 10, 5 / 6)
# Layer -> brightness: what stands on the far side gets less light.
_LAYERS = {"far": 0.74, "tail": 0.96, "trunk": 1.0, "ear": 1.04}
# Furs, 0 to 1: black, brown, rust, fawn, cream, grey, white.
_FURS = (
    (0.13, 0.12, 0.12), (0.33, 0.22, 0.14), (0.55, 0.31, 0.16), (0.68, 0.53, 0.35),
    (0.83, 0.76, 0.62), (0.48, 0.48, 0.50), (0.88, 0.87, 0.85),
)  # fmt: skip


def draw_photo(breed: Breed, rng: np.random.Generator) -> Image.Image:
    """Draw one photograph-like picture of a breed.

    Only the parts named by `breed` tell the class. Pose, size, place, light, shadow, colours,
    background, blur and noise come from `rng` and say nothing about it.

    Args:
        breed: what to draw.
        rng: source of all chance; the same state gives the same picture.

    Returns:
        RGB picture with a long side of 160 to 224 pixels.
    """
    width, height = _picture_size(rng)
    outlines = _project(animal_outlines(breed, rng), width, height, rng)
    feet = max(o.points[:, 1].max() for o in outlines if o.layer in ("trunk", "far"))
    horizon = feet - rng.uniform(0.05, 0.5) * height
    scene = draw_background(height, width, horizon, rng)
    scene = _cast_shadow(scene, outlines, feet, rng)
    colour, alpha = _paint(outlines, height, width, rng)
    scene = scene + (colour - scene) * alpha
    if rng.random() < 0.4:
        picture = to_image(scene)
        ground = scene[:, int(np.clip(feet, 0, height - 1))].mean(axis=1)
        draw_blades(picture, int(rng.integers(10, 60)), feet - 2, ground, rng)
        scene = to_planes(picture)
    return photograph(scene, rng)


def _picture_size(rng: np.random.Generator) -> tuple[int, int]:
    aspect = _ASPECTS[rng.integers(len(_ASPECTS))] * rng.uniform(0.96, 1.04)
    long_side = int(rng.integers(160, 225))
    if aspect >= 1:
        return long_side, round(long_side / aspect)
    return round(long_side * aspect), long_side


def _project(
    outlines: list[Outline], width: int, height: int, rng: np.random.Generator
) -> list[Outline]:
    """World units to pixels: turn towards the camera, roll, face left or right, fit, place."""
    yaw, pitch, roll = rng.normal(0, 0.36), rng.uniform(0, 0.25), rng.normal(0, 0.07)
    facing = rng.choice((-1.0, 1.0))
    turned = []
    for outline in outlines:
        x, y = outline.points.T
        nearer = outline.depth * np.cos(yaw) - x * np.sin(yaw)
        grow = 1 / (1 - 0.22 * nearer)
        x = (x * np.cos(yaw) + outline.depth * np.sin(yaw)) * grow * facing
        y = (pitch * nearer - y) * grow
        points = np.stack([x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)], 1)
        turned.append(Outline(outline.layer, points, outline.depth))
    solid = np.concatenate([o.points for o in turned if o.layer != "ink"])
    low, high = solid.min(axis=0), solid.max(axis=0)
    room = np.array([width, height])
    scale = rng.uniform(0.6, 0.97) * (room / (high - low)).min()
    slack = room - scale * (high - low)
    offset = slack * rng.uniform(0.1, 0.9, 2) + rng.normal(0, 0.015, 2) * room
    return [Outline(o.layer, (o.points - low) * scale + offset, o.depth) for o in turned]


def _mask(shapes: list[np.ndarray], height: int, width: int) -> np.ndarray:
    # Drawn at twice the size and averaged: Pillow's polygons have no smooth edges.
    canvas = Image.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(canvas)
    for points in shapes:
        pen.polygon((points * 2).ravel().tolist(), fill=255)
    return np.asarray(canvas.reduce(2), np.float32) / 255


def _blur(mask: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray((mask * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.BoxBlur(radius)), np.float32) / 255


def _cast_shadow(
    scene: np.ndarray, outlines: list[Outline], feet: float, rng: np.random.Generator
) -> np.ndarray:
    lean, squash = rng.normal(0, 0.5), rng.uniform(0.04, 0.16)
    flat = []
    for outline in outlines:
        if outline.layer in ("trunk", "far"):
            x, y = outline.points.T
            flat.append(np.stack([x + lean * (feet - y) * 0.4, feet - squash * (feet - y)], 1))
    shadow = _blur(_mask(flat, *scene.shape[1:]), rng.uniform(2, 6))
    return scene * (1 - np.float32(rng.uniform(0.15, 0.6)) * shadow)


def _fur_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two furs, each (3, 1, 1), that differ in brightness enough to be told apart."""
    furs = np.array(_FURS) + rng.normal(0, 0.03, (len(_FURS), 1))
    furs = (furs + rng.normal(0, 0.015, furs.shape)).astype(np.float32)
    first = rng.integers(len(furs))
    apart = np.abs(furs.mean(axis=1) - furs[first].mean()) > 0.2
    second = rng.choice(np.flatnonzero(apart))
    return furs[first].reshape(3, 1, 1), furs[second].reshape(3, 1, 1)


def _paint(
    outlines: list[Outline], height: int, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The animal's colour (3, H, W) and coverage (H, W), both 0 to 1."""
    shapes: dict[str, list[np.ndarray]] = {}
    for outline in outlines:
        shapes.setdefault(outline.layer, []).append(outline.points)
    first, second = _fur_colours(rng)
    coat = _blur(_mask(shapes.get("ink", []), height, width), 0.8)
    angle, relief = rng.uniform(0.1, np.pi - 0.1), rng.uniform(0.5, 1.3) * width / 64
    light_x, light_y = float(relief * np.cos(angle)), float(relief * np.sin(angle))
    fur = 1 + np.float32(rng.uniform(0.1, 0.3)) * cloud_noise(height, width, rng, 6)
    fur += np.float32(0.06) * rng.standard_normal((height, width), np.float32)
    shade, ink, alpha = np.zeros((3, height, width), np.float32)
    for layer, brightness in _LAYERS.items():
        mask = _mask(shapes[layer], height, width)
        # A blurred mask stands in for the roundness of the limb: its slope catches the light.
        hill = _blur(mask, 2.0) + 1.5 * _blur(mask, width / 32)
        slope_y, slope_x = np.gradient(hill)
        lit = brightness * fur * (0.62 + 0.2 * hill + light_x * slope_x + light_y * slope_y)
        shade += (np.clip(lit, 0.15, 1.6) - shade) * mask
        ink += ((coat if layer in ("trunk", "far") else 0.0) - ink) * mask
        alpha = np.maximum(alpha, mask)
    shade *= 1 - 0.85 * _mask(shapes["dark"], height, width)
    return _ruffle((first + (second - first) * ink) * shade, alpha, rng)


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
