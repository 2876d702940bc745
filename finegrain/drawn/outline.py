"""Outlines, and the two shapes that the drawn animals are made of: tubes and discs."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outline:
    """A closed outline on one layer of the picture."""

    # "far", "tail", "trunk" or "ear" (drawn in this order), "ink" (where the coat has its second
    # colour) or "dark" (eye and nose).
    layer: str
    points: np.ndarray  # (N, 2) in world units
    depth: float = 0.0  # distance towards the camera, in world units


def tube(spine: list[tuple[float, float]], radii: list[float], samples: int = 24) -> np.ndarray:
    """Outline (2 * samples + 12, 2) of a limb: two or more (x, y), and half thickness at each."""
    knots = np.linspace(0, 1, len(spine))
    t = np.linspace(0, 1, samples)
    control = np.asarray(spine, dtype=float)
    line = np.stack([np.interp(t, knots, control[:, 0]), np.interp(t, knots, control[:, 1])], 1)
    thick = np.interp(t, knots, radii)
    # Corners of the spine would show as creases, so both are smoothed with the ends held.
    for _ in range(samples // 6):
        line[1:-1] = (line[:-2] + 2 * line[1:-1] + line[2:]) / 4
        thick[1:-1] = (thick[:-2] + 2 * thick[1:-1] + thick[2:]) / 4
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    left, right = line + normal * thick[:, None], line - normal * thick[:, None]
    front = _cap(line[-1], normal[-1], thick[-1])
    end = _cap(line[0], -normal[0], thick[0])
    return np.concatenate([left, front, right[::-1], end])


def _cap(centre: np.ndarray, normal: np.ndarray, radius: float) -> np.ndarray:
    angle = np.linspace(0, np.pi, 8)[1:-1, None]
    forward = np.array([normal[1], -normal[0]])
    return centre + radius * (np.cos(angle) * normal + np.sin(angle) * forward)


def disc(x: float, y: float, radius: float, squeeze: float = 1.0) -> np.ndarray:
    """Outline (16, 2) of an ellipse, `squeeze` times as high as wide."""
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * squeeze * np.sin(angle)], 1)


def turn(points: np.ndarray, angle: float) -> np.ndarray:
    """Points (N, 2) turned about the origin, counter-clockwise, by an angle in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])
