"""One drawn photograph: an animal of a breed, posed, lit and set into a scene."""

import numpy as np
from numpy.random import Generator
from PIL import Image

from finegrain.drawn.animal import animal_outlines
from finegrain.drawn.breed import Breed
from finegrain.drawn.outline import Outline, turn
from finegrain.drawn.paint import blurred, mask, paint, to_image, to_planes
from finegrain.drawn.scene import draw_background, draw_blades, photograph

# Width over height, before a little jitter.
_ASPECTS = (4 / 3, 3 / 2, 1.0, 16 / 10, 5 / 6)


def draw_photo(breed: Breed, rng: Generator) -> Image.Image:
    """Draw one photograph-like picture of a breed.

    Only the parts named by `breed` tell the class; all else comes from `rng` and says nothing
    about it. The picture is RGB, with a long side of 160 to 224 pixels.
    """
    width, height = _picture_size(rng)
    outlines = _project(animal_outlines(breed, rng), width, height, rng)
    feet = max(o.points[:, 1].max() for o in outlines if o.layer in ("trunk", "far"))
    horizon = feet - rng.uniform(0.05, 0.5) * height
    scene = draw_background(height, width, horizon, rng)
    scene = _cast_shadow(scene, outlines, feet, rng)
    colour, alpha = paint(outlines, height, width, rng)
    scene = scene + (colour - scene) * alpha
    if rng.random() < 0.4:
        picture = to_image(scene)
        ground = scene[:, int(np.clip(feet, 0, height - 1))].mean(axis=1)
        draw_blades(picture, int(rng.integers(10, 60)), feet - 2, ground, rng)
        scene = to_planes(picture)
    return photograph(scene, rng)


def _picture_size(rng: Generator) -> tuple[int, int]:
    aspect = _ASPECTS[rng.integers(len(_ASPECTS))] * rng.uniform(0.96, 1.04)
    long_side = int(rng.integers(160, 225))
    if aspect >= 1:
        return long_side, round(long_side / aspect)
    return round(long_side * aspect), long_side


def _project(outlines: list[Outline], width: int, height: int, rng: Generator) -> list[Outline]:
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
        rolled = turn(np.stack([x, y], 1), roll)
        turned.append(Outline(outline.layer, rolled, outline.depth))
    solid = np.concatenate([o.points for o in turned if o.layer != "ink"])
    low, high = solid.min(axis=0), solid.max(axis=0)
    room = np.array([width, height])
    scale = rng.uniform(0.6, 0.97) * (room / (high - low)).min()
    slack = room - scale * (high - low)
    offset = slack * rng.uniform(0.1, 0.9, 2) + rng.normal(0, 0.015, 2) * room
    return [Outline(o.layer, (o.points - low) * scale + offset, o.depth) for o in turned]


def _cast_shadow(
    scene: np.ndarray, outlines: list[Outline], feet: float, rng: Generator
) -> np.ndarray:
    lean, squash = rng.normal(0, 0.5), rng.uniform(0.04, 0.16)
    solid = [outline.points.T for outline in outlines if outline.layer in ("trunk", "far")]
    flat = [
        np.stack([x + lean * (feet - y) * 0.4, feet - squash * (feet - y)], 1) for x, y in solid
    ]
    shadow = blurred(mask(flat, *scene.shape[1:]), rng.uniform(2, 6))
    return scene * (1 - np.float32(rng.uniform(0.15, 0.6)) * shadow)
