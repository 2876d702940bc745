"""The animal of the drawn data set as outlines: one four-legged body plan, seen from the side.

World units: the trunk is about one unit long, x points to the head, y up, the ground is y = 0.
"""

import numpy as np

from finegrain.drawn.breed import Breed
from finegrain.drawn.outline import Outline, disc, tube, turn

LEG_LENGTH = {"short": 0.24, "medium": 0.40, "long": 0.57}
SNOUT_LENGTH = {"blunt": 0.07, "medium": 0.17, "long": 0.29}
TRUNK_HALF = {"compact": 0.36, "stretched": 0.54}

# Spine and half thickness of a limb, from its root.
Limb = tuple[list[tuple[float, float]], list[float]]
_TAILS: dict[str, Limb] = {
    "sickle": ([(0, 0), (-0.16, 0.08), (-0.22, 0.24), (-0.13, 0.4)], [0.06, 0.05, 0.04, 0.02]),
    "low": ([(0, 0), (-0.13, -0.04), (-0.19, -0.2), (-0.27, -0.36)], [0.06, 0.045, 0.035, 0.02]),
    "plume": ([(0, 0), (-0.14, 0.03), (-0.28, 0.1), (-0.42, 0.2)], [0.05, 0.09, 0.12, 0.04]),
    "stub": ([(0.02, 0), (-0.05, 0.05), (-0.08, 0.09)], [0.07, 0.055, 0.04]),
}
_EARS: dict[str, Limb] = {
    "pointed": ([(0, 0), (-0.01, 0.09), (-0.02, 0.2)], [0.07, 0.05, 0.006]),
    "folded": ([(-0.01, 0), (-0.02, 0.1), (0.02, 0.12), (0.08, 0.06)], [0.06, 0.055, 0.045, 0.01]),
    "hanging": (
        [(0, 0.01), (-0.05, -0.03), (-0.06, -0.12), (-0.05, -0.2)],
        [0.04, 0.055, 0.065, 0.04],
    ),
    "long": ([(0, 0), (-0.06, 0.12), (-0.13, 0.25), (-0.18, 0.33)], [0.045, 0.05, 0.05, 0.02]),
}


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
        limb = tube([hip, knee, ankle, toe], [0.11, 0.068, 0.042, 0.038])
        outlines.append(Outline("trunk", limb, 0.11) if near else Outline("far", limb, -0.11))
    return outlines


def _tail(kind: str, x: float, y: float, rng: np.random.Generator) -> np.ndarray:
    wag = rng.normal(0, 0.16)
    spine, radii = _curl() if kind == "curled" else _TAILS[kind]
    points = tube(spine, radii, samples=32)
    return turn(points, wag) * rng.uniform(0.92, 1.08) + (x, y)


def _curl() -> Limb:
    angle, radius = np.linspace(-0.6, 4.4, 9), np.linspace(0.15, 0.09, 9)
    turns = zip(0.05 - radius * np.cos(angle), 0.13 + radius * np.sin(angle), strict=True)
    return [(0.06, 0.0), *turns], [0.06] * 5 + [0.05] * 4 + [0.03]


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

    if breed.ear == "round":
        ear = disc(-0.02, 0.065, 0.08)
    else:
        ear = tube(*_EARS[breed.ear], samples=32 if breed.ear == "folded" else 24)
    return [
        Outline("trunk", tube([shoulder, tuple(neck), tuple(skull)], [0.19, 0.14, 0.1])),
        Outline("trunk", place(disc(0, 0, 0.13, 0.92))),
        Outline("trunk", place(muzzle)),
        Outline("far", place(turn(ear, rng.normal(-0.1, 0.08)) + np.array([-0.01, 0.06])), -0.1),
        Outline("ear", place(turn(ear, rng.normal(0, 0.12)) + np.array([-0.04, 0.06])), 0.1),
        Outline("dark", place(disc(0.07, 0.035, 0.02)), 0.06),
        Outline("dark", place(disc(0.135 + reach, -0.03, 0.03, 0.8))),
    ]


def coat_outlines(
    kind: str, half: float, back: float, legs: float, girth: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Where a coat has its second colour; what lies outside the animal does not show.

    `half` is the trunk's half length, `back` its height, `girth` its thickness to the normal one.
    """
    thick = 0.2 * girth
    if kind == "spots":
        return [_spot(half, back, thick, rng) for _ in range(int(rng.integers(13, 20)))]
    if kind == "bands":
        count = int(rng.integers(5, 8))
        centres = np.linspace(-half - 0.05, half + 0.05, count) + rng.normal(0, 0.015, count)
        return [_band(x, back, thick, rng) for x in centres]
    if kind == "saddle":
        left, right = -half * rng.uniform(0.75, 1.0), half * rng.uniform(0.6, 0.85)
        low = back - thick * rng.uniform(-0.1, 0.3)
        x = [left - 0.12, left - 0.08, left + 0.12, right - 0.1, right + 0.06, right + 0.06]
        y = [back + 0.4, low + 0.1, low, low, low + 0.12, back + 0.4]
        return [np.stack([x, y], 1)]
    if kind == "belly":
        high = back - thick * rng.uniform(0.15, 0.4)
        front, rear = half + 0.3, -half - 0.3
        x = [rear, -half * 0.6, half * 0.5, half + 0.02, half + 0.22, front, rear]
        y = [high - 0.12, high, high + 0.02, high + 0.14, high + 0.16, -0.2, -0.2]
        return [np.stack([x, y], 1)]
    if kind == "socks":
        high = legs * rng.uniform(0.4, 0.6)
        return [np.array([(-2.0, -0.3), (-2.0, high), (2.0, high), (2.0, -0.3)])]
    return []


def _spot(half: float, back: float, thick: float, rng: np.random.Generator) -> np.ndarray:
    x, y = rng.uniform(-half - 0.2, half + 0.2), back + rng.uniform(-1.3, 1.0) * thick
    radius = rng.uniform(0.035, 0.07)
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    uneven = radius * rng.uniform(0.7, 1.3, 10)
    return np.stack([x + uneven * np.cos(angle), y + uneven * np.sin(angle)], 1)


def _band(x: float, back: float, thick: float, rng: np.random.Generator) -> np.ndarray:
    heights = np.linspace(back + 1.6 * thick, back - 0.9 * thick, 5)
    middle = x + rng.normal(0, 0.015, 5).cumsum()
    width = np.array([0.034, 0.034, 0.03, 0.022, 0.004]) * rng.uniform(0.8, 1.2)
    left, right = np.stack([middle - width, heights], 1), np.stack([middle + width, heights], 1)
    return np.concatenate([left, right[::-1]])
