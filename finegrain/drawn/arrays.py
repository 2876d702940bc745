"""Drawn photographs as arrays, with one target for the breed and one for each of its parts."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from finegrain.decode import read_pixels
from finegrain.drawn.breed import PARTS, Breed
from finegrain.drawn.collection import write_photos


def draw_arrays(
    folder: Path, breeds: list[Breed], per_class: int, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw photographs into a folder, on all cores, and read them.

    Args:
        folder: where the files are kept; those already there are not drawn again.
        breeds: the classes.
        per_class: pictures of each.
        size: side in pixels to which the pictures are squeezed.
        seed: non-negative; source of all chance.

    Returns:
        Pixels (N, size, size, 3) uint8, and for each the place of its breed in `breeds`, (N,).
    """
    count = len(breeds)
    # Fresh processes: a fork would copy TensorFlow's locks without the threads that free them.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        lists = pool.map(
            write_photos,
            [folder] * count,
            [[breed] for breed in breeds],
            [per_class] * count,
            [seed] * count,
        )
        paths = [folder / name for photos in lists for name, _ in photos]
        pixels = list(pool.map(read_pixels, paths, [(size, size)] * len(paths), chunksize=64))
    return np.stack(pixels), np.repeat(np.arange(count), per_class)


def part_targets(breeds: list[Breed], labels: np.ndarray) -> dict[str, np.ndarray]:
    """One-hot targets: "breed" (N, breeds), and each part of `PARTS` (N, its choices).

    Args:
        breeds: the classes.
        labels: (N,) places in `breeds`.
    """
    answers = {"breed": np.eye(len(breeds), dtype="float32")[labels]}
    for part, choices in PARTS.items():
        places = np.array([choices.index(getattr(breed, part)) for breed in breeds])
        answers[part] = np.eye(len(choices), dtype="float32")[places[labels]]
    return answers
