"""The frame that a model sees photographs in: its size, and how a photograph of any shape fits."""

from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

Fit = Literal["squeeze", "crop", "pad"]
SQUEEZE: Fit = "squeeze"


@dataclass(frozen=True)
class Frame:
    """Height and width in pixels, and the way into them.

    Attributes:
        fit: `squeeze` makes the photograph's proportions the frame's; `crop` keeps them and takes
            the largest part in the middle that fills the frame; `pad` keeps them too and shows all
            of it, between black borders.
    """

    height: int
    width: int
    fit: Fit = SQUEEZE

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    def key(self) -> dict[str, Any]:
        """What a store that was filled through this frame depends on, as JSON values."""
        # Stores were squeezed before there was a choice.
        fit = {} if self.fit == SQUEEZE else {"fit": self.fit}
        return {"image_size": [self.height, self.width], **fit}

    def fitted(self, image: Image.Image) -> Image.Image:
        """The photograph in the frame's size, by a bilinear filter that averages as it shrinks."""
        size = self.width, self.height
        if self.fit != "pad":
            return self.shown(image).resize(size, Image.Resampling.BILINEAR)
        scale = min(self.width / image.width, self.height / image.height)
        inner = max(1, round(scale * image.width)), max(1, round(scale * image.height))
        image = image.resize(inner, Image.Resampling.BILINEAR)
        return self.shown(image)

    def shown(self, image: Image.Image) -> Image.Image:
        """What of a photograph stands in the frame, borders included, in its own proportions.

        For people, who are shown what the model looks at; the picture should be small.
        """
        if self.fit == SQUEEZE:
            return image
        nearest = min if self.fit == "crop" else max
        scale = nearest(image.width / self.width, image.height / self.height)
        width, height = max(1, round(scale * self.width)), max(1, round(scale * self.height))
        left, top = (image.width - width) // 2, (image.height - height) // 2
        # Outside a picture Pillow crops black.
        return image.crop((left, top, left + width, top + height))
