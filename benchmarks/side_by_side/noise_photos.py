"""Pictures of coloured noise, where it does not matter what they show."""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm


def draw_noise(folder: Path, images: int, classes: int, size: tuple[int, int] = (128, 96)) -> None:
    """Write JPEGs of coloured noise, `folder/class_<n>/<n>.jpg`; those there are kept.

    Args:
        folder: where to.
        images: how many.
        classes: over how many folders they are spread.
        size: (width, height) in pixels.
    """
    rng = np.random.default_rng(0)
    for number in tqdm(range(images), desc="drawing", unit="image", disable=None):
        noise = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        file = folder / f"class_{number % classes}" / f"{number}.jpg"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(file)
