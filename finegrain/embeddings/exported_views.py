"""Which views of a photograph are exported: as it is, mirrored, or augmented."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finegrain.decode import UnreadableImage, read_pixels
from finegrain.errors import UserError
from finegrain.images.augment import Augmentation, SeededTransform

KINDS = PLAIN, FLIP, AUGMENTED = "plain", "flip", "augmented"
# Keeps the chance behind exported views apart from that behind a training's.
EXPORTED_VIEW = 15_485_863
MOST_VIEWS = 1000


@dataclass(frozen=True)
class ViewPlan:
    """The views of each photograph; view 0 is always the photograph as it is.

    Attributes:
        kind: `plain`, `flip` (view 1 is the mirror image) or `augmented`.
        augmented: number of augmented views of a training photograph beside the plain one.
        seed: of the augmentation.
    """

    kind: str = PLAIN
    augmented: int = 0
    seed: int = 0

    @classmethod
    def parse(cls, text: str, seed: int) -> "ViewPlan":
        """What `--views` says: `plain`, `flip` or a number of augmented views.

        Raises:
            UserError: it says anything else.
        """
        if text in (PLAIN, FLIP):
            return cls(text)
        if text.isdecimal() and len(text) <= len(str(MOST_VIEWS)) and 1 <= int(text) <= MOST_VIEWS:
            return cls(AUGMENTED, int(text), seed)
        raise UserError(
            f"--views {text[:40]!r} is unknown; give plain, flip, or a number of augmented views, "
            f"1 to {MOST_VIEWS}"
        )

    def count(self, split: str) -> int:
        """Views of a photograph of a split; only training photographs are augmented."""
        if self.kind == FLIP:
            return 2
        return 1 + (self.augmented if split == "train" else 0)

    def described(self) -> dict[str, Any]:
        """All that the views depend on, as JSON values."""
        described: dict[str, Any] = {"kind": self.kind}
        if self.kind == AUGMENTED:
            ranges = asdict(Augmentation())
            described |= {"augmented": self.augmented, "seed": self.seed, "ranges": ranges}
        return described


class ExportedViews:
    """Views of N photographs by number; threads may share them.

    Args:
        paths: the image files.
        image_size: (height, width) in pixels.
        plan: which views there are.
        labelled: whether they are of a data set, where each must be readable.
    """

    def __init__(
        self, paths: Sequence[Path], image_size: tuple[int, int], plan: ViewPlan, labelled: bool
    ):
        self.paths = list(paths)
        self._size = image_size
        self._plan = plan
        self._labelled = labelled
        self._transform = SeededTransform(Augmentation().generator())

    def views(self, index: int, numbers: Sequence[int]) -> np.ndarray:
        """Some of a photograph's views, always the same; it is decoded once for all of them.

        Args:
            index: of the photograph, 0 to N - 1.
            numbers: of K views.

        Returns:
            (K, H, W, 3) uint8, RGB 0 to 255.

        Raises:
            UnreadableImage: it cannot be read, and has no label.
            UserError: it cannot be read, and has one.
        """
        path = self.paths[index]
        try:
            pixels = read_pixels(path, self._size)
        except UnreadableImage as error:
            if not self._labelled:
                raise
            raise UserError(
                f"{path} can no longer be read ({error}); put it back, or make the data set "
                "again with img2keras.py"
            ) from error
        return np.stack([self._view(pixels, index, int(number)) for number in numbers])

    def _view(self, pixels: np.ndarray, index: int, number: int) -> np.ndarray:
        if number == 0:
            return pixels
        if self._plan.kind == FLIP:
            return pixels[:, ::-1]
        rng = np.random.default_rng([self._plan.seed, EXPORTED_VIEW, index, number])
        return self._transform(pixels, int(rng.integers(2**32)))
