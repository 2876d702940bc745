"""Coat patterns of the drawn data set: where the second colour lies on the trunk."""

import numpy as np


def coat_outlines(
    kind: str, half: float, back: float, legs: float, girth: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Outlines of the second colour; what of them lies outside the animal does not show.

    Args:
        kind: one of `PARTS["coat"]`.
        half, back, legs, girth: half length and height of the trunk, leg length, thickness of
            the trunk relative to the normal one; world units.
        rng: places the marks, which no two animals share.

    Returns:
        List of (N, 2) arrays in world units; empty for a plain coat.
    """
    thick = 0.2 * girth
    if kind == "spots":
        return [
            _blob(
                rng.uniform(-half - 0.2, half + 0.2),
                back + rng.uniform(-1.3, 1.0) * thick,
                rng.uniform(0.035, 0.07),
                rng,
            )
            for _ in range(int(rng.integers(13, 20)))
        ]
    if kind == "bands":
        count = int(rng.integers(5, 8))
        centres = np.linspace(-half - 0.05, half + 0.05, count) + rng.normal(0, 0.015, count)
        return [_band(x, back, thick, rng) for x in centres]
    if kind == "saddle":
        left, right = -half * rng.uniform(0.75, 1.0), half * rng.uniform(0.6, 0.85)
        low = back - thick * rng.uniform(-0.1, 0.3)
        return [
            np.array(
                [
                    (left - 0.12, back + 0.4),
                    (left - 0.08, low + 0.1),
                    (left + 0.12, low),
                    (right - 0.1, low),
                    (right + 0.06, low + 0.12),
                    (right + 0.06, back + 0.4),
                ]
            )
        ]
    if kind == "belly":
        high = back - thick * rng.uniform(0.15, 0.4)
        return [
            np.array(
                [
                    (-half - 0.3, high - 0.12),
                    (-half * 0.6, high),
                    (half * 0.5, high + 0.02),
                    (half + 0.02, high + 0.14),
                    (half + 0.22, high + 0.16),
                    (half + 0.3, -0.2),
                    (-half - 0.3, -0.2),
                ]
            )
        ]
    if kind == "socks":
        high = legs * rng.uniform(0.4, 0.6)
        return [np.array([(-2.0, -0.3), (-2.0, high), (2.0, high), (2.0, -0.3)])]
    return []


def _blob(x: float, y: float, radius: float, rng: np.random.Generator) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    uneven = radius * rng.uniform(0.7, 1.3, 10)
    return np.stack([x + uneven * np.cos(angle), y + uneven * np.sin(angle)], 1)


def _band(x: float, back: float, thick: float, rng: np.random.Generator) -> np.ndarray:
    heights = np.linspace(back + 1.6 * thick, back - 0.9 * thick, 5)
    middle = x + rng.normal(0, 0.015, 5).cumsum()
    width = np.array([0.034, 0.034, 0.03, 0.022, 0.004]) * rng.uniform(0.8, 1.2)
    left, right = np.stack([middle - width, heights], 1), np.stack([middle + width, heights], 1)
    return np.concatenate([left, right[::-1]])
