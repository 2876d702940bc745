"""The animal of the drawn data set as outlines: one four-legged body plan, seen from the side.

World units: the trunk is about one unit long, x points to the head, y up, the ground is y = 0.
"""

import numpy as np
from numpy.typing import ArrayLike

from finegrain.drawn.breed import Breed
from finegrain.drawn.coat import coat_outlines
from finegrain.drawn.outline import Outline, disc, tube, turn

LEG_LENGTH = {"short": 0.24, "medium": 0.40, "long": 0.57}
SNOUT_LENGTH = {"blunt": 0.07, "medium": 0.17, "long": 0.29}
TRUNK_HALF = {"compact": 0.36, "stretched": 0.54}


def animal_outlines(breed: Breed, rng: np.random.Generator) -> list[Outline]:
    """One animal of a breed in a random pose, with its own small deviations of build."""
    legs = LEG_LENGTH[breed.legs] * rng.uniform(0.93, 1.07)
    half = TRUNK_HALF[breed.trunk] * rng.uniform(0.95, 1.05)
    girth = rng.uniform(0.9, 1.12)
    back = legs + 0.14 * girth
    outlines = _legs(legs, half, back, rng)
    outlines.append(Outline("tail", _tail(breed.tail, -half - 0.12, back + 0.08, rng)))
    trunk = tube(
        [(-half, back), (0, back + rng.uniform(-0.01, 0.04)), (half, back + 0.02)],
        [0.19 * girth, 0.165 * girth, 0.21 * girth],
    )
    outlines.append(Outline("trunk", trunk))
    outlines += _head(breed, half, back, rng)
    ink = coat_outlines(breed.coat, half, back, legs, girth, rng)
    return outlines + [Outline("ink", points) for points in ink]


def _legs(length: float, half: float, back: float, rng: np.random.Generator) -> list[Outline]:
    stride = rng.uniform(0, 0.5)
    phase = rng.uniform(0, 2 * np.pi)
    outlines = []
    for place, (x, lag) in enumerate(((-half, 0.0), (half, np.pi), (-half, 2.8), (half, 0.4))):
        near = place < 2
        swing = stride * np.sin(phase + lag) + rng.normal(0, 0.04)
        bend = 0.06 if x < 0 else -0.02
        hip, knee = (x, back - 0.03), (x + swing * length * 0.5 + bend, length * 0.55)
        lift = 0.05 * max(0.0, -np.cos(phase + lag)) * stride
        ankle = (x + swing * length - bend / 2, 0.03 + lift)
        toe = (ankle[0] + 0.07, ankle[1] - 0.01)
        outlines.append(
            Outline(
                "trunk" if near else "far",
                tube([hip, knee, ankle, toe], [0.11, 0.068, 0.042, 0.038]),
                0.11 if near else -0.11,
            )
        )
    return outlines


def _tail(kind: str, x: float, y: float, rng: np.random.Generator) -> np.ndarray:
    wag = rng.normal(0, 0.16)
    spine: ArrayLike
    if kind == "curled":
        angle = np.linspace(-0.6, 4.4, 9)
        radius = np.linspace(0.15, 0.09, 9)
        local = np.stack([0.05 - radius * np.cos(angle), 0.13 + radius * np.sin(angle)], 1)
        spine, radii = np.concatenate([[[0.06, 0.0]], local]), [0.06] * 5 + [0.05] * 4 + [0.03]
    elif kind == "sickle":
        spine = [(0, 0), (-0.16, 0.08), (-0.22, 0.24), (-0.13, 0.4)]
        radii = [0.06, 0.05, 0.04, 0.02]
    elif kind == "low":
        spine = [(0, 0), (-0.13, -0.04), (-0.19, -0.2), (-0.27, -0.36)]
        radii = [0.06, 0.045, 0.035, 0.02]
    elif kind == "plume":
        spine = [(0, 0), (-0.14, 0.03), (-0.28, 0.1), (-0.42, 0.2)]
        radii = [0.05, 0.09, 0.12, 0.04]
    else:
        spine, radii = [(0.02, 0), (-0.05, 0.05), (-0.08, 0.09)], [0.07, 0.055, 0.04]
    points = tube([tuple(p) for p in np.asarray(spine, dtype=float)], radii, samples=32)
    return turn(points, wag) * rng.uniform(0.92, 1.08) + (x, y)


def _head(breed: Breed, half: float, back: float, rng: np.random.Generator) -> list[Outline]:
    rise = rng.uniform(0.45, 1.15)
    nod = rng.normal(-0.1, 0.2)
    shoulder = (half - 0.08, back + 0.02)
    neck = np.array([half + 0.06, back + 0.06])
    skull = neck + 0.33 * np.array([np.cos(rise), np.sin(rise)])
    reach = SNOUT_LENGTH[breed.snout] * rng.uniform(0.92, 1.08)
    muzzle = tube([(0.03, -0.02), (0.09, -0.035), (0.1 + reach, -0.05)], [0.1, 0.08, 0.055])
    size = rng.uniform(0.94, 1.08)

    def place(points: np.ndarray) -> np.ndarray:
        return turn(points * size, nod) + skull

    ear = _ear(breed.ear)
    return [
        Outline("trunk", tube([shoulder, tuple(neck), tuple(skull)], [0.19, 0.14, 0.1])),
        Outline("trunk", place(disc(0, 0, 0.13, 0.92))),
        Outline("trunk", place(muzzle)),
        Outline("far", place(turn(ear, rng.normal(-0.1, 0.08)) + np.array([-0.01, 0.06])), -0.1),
        Outline("ear", place(turn(ear, rng.normal(0, 0.12)) + np.array([-0.04, 0.06])), 0.1),
        Outline("dark", place(disc(0.07, 0.035, 0.02)), 0.06),
        Outline("dark", place(disc(0.135 + reach, -0.03, 0.03, 0.8))),
    ]


def _ear(kind: str) -> np.ndarray:
    if kind == "pointed":
        return tube([(0, 0), (-0.01, 0.09), (-0.02, 0.2)], [0.07, 0.05, 0.006])
    if kind == "round":
        return disc(-0.02, 0.065, 0.08)
    if kind == "folded":
        tip_over = [(-0.01, 0.0), (-0.02, 0.1), (0.02, 0.12), (0.08, 0.06)]
        return tube(tip_over, [0.06, 0.055, 0.045, 0.01], samples=32)
    if kind == "hanging":
        flap = [(0.0, 0.01), (-0.05, -0.03), (-0.06, -0.12), (-0.05, -0.2)]
        return tube(flap, [0.04, 0.055, 0.065, 0.04])
    return tube([(0, 0), (-0.06, 0.12), (-0.13, 0.25), (-0.18, 0.33)], [0.045, 0.05, 0.05, 0.02])
