"""Several looks at a picture, whose answers are averaged: mirrored, cropped, at other scales."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval

from finegrain.errors import UserError
from finegrain.flags import ImageSize, ProperShare
from finegrain.frame import Frame

# How many times as large as the model's input the picture is made.
Scale = Annotated[float, Interval(ge=1, le=4)]
# Where a window stands, as shares of the room above and to the left of it.
MIDDLE = (0.5, 0.5)
CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))


@dataclass(frozen=True)
class AnswerViews:
    """Which views of a picture a model answers for; each costs a pass.

    As the ten crops of Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional
    Neural Networks", section 4.1, with the whole picture beside them. A crop is cut from a picture
    that was decoded larger, so it shows more detail; nothing is enlarged twice.

    Attributes:
        flip: the mirror image of each view too.
        crops: 1 for the whole picture; 5 for its four corners as well; 6 for its centre too.
        crop_share: side of a corner or centre, as a share of the picture's.
        scales: magnifications; at 1.15 the whole picture is its middle, as large as 1 / 1.15.
    """

    flip: bool = False
    crops: Literal[1, 5, 6] = 1
    crop_share: ProperShare = 0.875
    scales: Sequence[Scale] = (1.0,)

    def __len__(self) -> int:
        return len(self.scales) * self.crops * (2 if self.flip else 1)

    def __str__(self) -> str:
        return "" if len(self) == 1 else f" x {len(self)} views"

    @property
    def is_plain(self) -> bool:
        """Whether the whole picture is all that is looked at."""
        return len(self) == 1 and self.scales[0] == 1

    def frames(self, frame: Frame) -> list[Frame]:
        """The unlike frames that a picture is decoded in for these views of a model's frame."""
        return list(dict.fromkeys(larger for larger, _ in self._windows(frame)))

    def of(self, pictures: Sequence[np.ndarray], frame: Frame) -> Iterator[np.ndarray]:
        """The views, (B, H, W, 3) each, of pictures (B, H', W', 3) in each of `frames`."""
        decoded = dict(zip(self.frames(frame), pictures, strict=True))
        height, width = frame.size
        for larger, (down, right) in self._windows(frame):
            top = round(down * (larger.height - frame.height))
            left = round(right * (larger.width - frame.width))
            view = np.ascontiguousarray(decoded[larger][:, top : top + height, left : left + width])
            yield view
            if self.flip:
                yield np.ascontiguousarray(view[:, :, ::-1])

    def _windows(self, frame: Frame) -> Iterator[tuple[Frame, tuple[float, float]]]:
        """Frame of the picture, and place of the window in it, of each view before mirroring."""
        cropped = [(1 / self.crop_share, place) for place in (*CORNERS, MIDDLE)]
        places = [(1.0, MIDDLE), *cropped][: self.crops]
        for scale, (larger, place) in product(self.scales, places):
            height, width = (round(side * scale * larger) for side in frame.size)
            yield Frame(height, width, frame.fit), place


PLAIN = AnswerViews()


@dataclass(kw_only=True)
class ViewFlags:
    """The flags of the commands that answer for pictures."""

    # average each image with its mirror image: a little better, twice the time
    flip: bool = False
    # average 5 views, the whole image and its four corners, or 6, its centre too, each a pass
    crops: Literal[1, 5, 6] = 1
    # side of a corner or centre, as a share of the image's
    crop_share: ProperShare = 0.875
    # average magnifications, 1.15 looks at the middle 1 / 1.15 of the image; each is a pass,
    # times those of --crops: --scales 1 1.15
    scales: tuple[Scale, ...] = (1.0,)
    # side of the square that images are made, in pixels, for a model rebuilt to take it; by
    # default the run's own
    image_size: ImageSize | None = None

    @property
    def views(self) -> AnswerViews:
        """What the flags ask for."""
        return AnswerViews(self.flip, self.crops, self.crop_share, self.scales)

    def check_views(self) -> None:
        """Refuse no view at all."""
        if not self.scales:
            raise UserError("--scales names no scale; give 1 for the image as it is")


def averaged(
    answer: Callable[[np.ndarray], list[np.ndarray]], views: Iterator[np.ndarray]
) -> list[np.ndarray]:
    """A model's outputs for the first view, with the first of them averaged over all views.

    Args:
        answer: (B, H, W, 3) -> outputs (B, ...), the first of them probabilities.
        views: at least one.
    """
    first, *others = answer(next(views))
    again = [answer(view)[0] for view in views]
    return [sum(again, first) / (1 + len(again)) if again else first, *others]
