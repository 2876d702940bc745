"""Where a model looks, as small pictures."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from finegrain.decode import UnreadableImage, open_rgb, read_pixels
from finegrain.explain.photograph import lay_over
from finegrain.report.photographs import Photographs, Picture, fitted, jpeg_address

BATCH = 8

# (N,H,W,3) uint8 images and N class indices -> (N,h,w) heat, 0 to 1: `GradCam.heats`.
Heats = Callable[[np.ndarray, Sequence[int]], np.ndarray]
# A photograph's path and the class asked about.
Question = tuple[str, int]


def attention_pictures(
    heats: Heats,
    size: tuple[int, int],
    photographs: Photographs,
    questions: dict[Question, str],
) -> dict[Question, Picture]:
    """Photographs coloured by what speaks for a class.

    Args:
        heats: of the model.
        size: (height, width) of its images.
        photographs: of the data set; of those that cannot be read there is no picture.
        questions: with what each picture shows, in words.
    """
    pictures, waiting = {}, list(questions)
    for start in range(0, len(waiting), BATCH):
        pixels = {}
        for question in waiting[start : start + BATCH]:
            try:
                pixels[question] = read_pixels(photographs.file(question[0]), size)
            except (UnreadableImage, ValueError):
                continue
        if not pixels:
            continue
        found = heats(np.stack(list(pixels.values())), [label for _, label in pixels])
        for (path, label), heat in zip(pixels, found, strict=True):
            pictures[path, label] = _laid_over(photographs, path, heat, questions[path, label])
    return pictures


def _laid_over(photographs: Photographs, path: str, heat: np.ndarray, alt: str) -> Picture:
    side = photographs.side
    image = open_rgb(photographs.file(path), at_least=(side, side))
    small = image.resize(fitted(image.size, side), Image.Resampling.BOX, reducing_gap=2.0)
    return Picture(alt, jpeg_address(Image.fromarray(lay_over(np.asarray(small), heat)), side))
