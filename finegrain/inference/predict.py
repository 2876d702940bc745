"""Class probabilities of any number of image files."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from finegrain.decode import UnreadableImage, read_pixels
from finegrain.frame import Frame
from finegrain.inference.agreement import AGREEMENT_IMAGES
from finegrain.inference.answer_views import PLAIN, AnswerViews, averaged
from finegrain.inference.opened import Inference
from finegrain.read_ahead import default_workers, read_ahead

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Predictions:
    """Probabilities (N,C) float32 of N files in their order; row -> why it cannot be decoded."""

    paths: list[Path]
    probabilities: np.ndarray
    unreadable: dict[int, str]


def predict_probabilities(
    classifier: "keras.Model | Inference",
    paths: Sequence[Path],
    frame: Frame,
    batch_size: int,
    *,
    views: AnswerViews = PLAIN,
    unreadable_row: np.ndarray | None = None,
    progress: bool = True,
) -> Predictions:
    """Classify image files, decoded ahead by a few threads, about three batches at a time.

    Args:
        classifier: RGB (B,H,W,3) in 0 to 255 -> (B,C) probabilities and perhaps more; a Keras
            model, or one that was opened on uint8 images.
        frame: the classifier's.
        views: of each picture; the mean of their answers is taken.
        unreadable_row: (C,) answer for a file that cannot be decoded; NaN where not given.
    """
    paths = list(paths)
    if not paths or batch_size < 1:
        raise ValueError(
            "`paths` must name an image and `batch_size` must be at least 1. "
            f"Received: {len(paths)} paths, batch_size={batch_size}"
        )
    if not isinstance(classifier, Inference):
        from finegrain.inference.keras_engine import KerasEngine

        classifier = Inference(KerasEngine(classifier), "as asked")
    rows: list[np.ndarray] = []
    unreadable: dict[int, str] = {}
    for _, batch, failed in decoded_batches(paths, frame, batch_size, views, progress):
        answer, *_ = averaged(classifier.run, batch)
        rows.append(answer)
        unreadable |= failed
    probabilities = np.concatenate(rows)
    probabilities[list(unreadable)] = np.nan if unreadable_row is None else unreadable_row
    return Predictions(paths, probabilities, unreadable)


def decoded_batches(
    paths: Sequence[Path],
    frame: Frame,
    batch_size: int,
    views: AnswerViews = PLAIN,
    progress: bool = True,
) -> Iterator[tuple[int, Iterator[np.ndarray], dict[int, str]]]:
    """The pixels of image files batch by batch, with a progress bar where there is a terminal.

    What comes is the number of the batch's first file; the views of its images, (B, H, W, 3) uint8
    each; and of those that could not be decoded, which are black, number of the file -> reason.
    """
    batch_size = min(batch_size, len(paths))
    workers = default_workers()
    frames = views.frames(frame)
    read = partial(_read_in, frames=frames)
    with (
        closing(read_ahead(read, paths, workers, 2 * batch_size)) as decoded,
        tqdm(total=len(paths), unit="image", disable=None if progress else True) as bar,
    ):
        for start in range(0, len(paths), batch_size):
            count = min(batch_size, len(paths) - start)
            # Bytes, a quarter of the memory: the model casts them itself.
            batch = [np.zeros((count, *each.size, 3), dtype="uint8") for each in frames]
            unreadable: dict[int, str] = {}
            for place, pictures in enumerate(islice(decoded, count)):
                if isinstance(pictures, UnreadableImage):
                    unreadable[start + place] = str(pictures)
                    continue
                for in_frame, pixels in zip(batch, pictures, strict=True):
                    in_frame[place] = pixels
            yield start, views.of(batch, frame), unreadable
            bar.update(count)


def sample_images(paths: Sequence[Path], frame: Frame, count: int = AGREEMENT_IMAGES) -> np.ndarray:
    """Up to `count` of the images, (n,H,W,3) uint8, n at least 1, to open an `Inference` with.

    They are taken from the whole list, whose neighbours are often alike. Where none of them can
    be read, one black image stands for them.
    """
    places = np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int))
    decoded = [_read_in(paths[place], [frame]) for place in places]
    images = [pixels[0] for pixels in decoded if not isinstance(pixels, UnreadableImage)]
    return np.stack(images or [np.zeros((*frame.size, 3), dtype="uint8")])


def _read_in(path: Path, frames: Sequence[Frame]) -> list[np.ndarray] | UnreadableImage:
    """The pixels of a file in each of some frames."""
    try:
        return [read_pixels(path, frame) for frame in frames]
    except UnreadableImage as error:
        return error
