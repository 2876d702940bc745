"""What is stored of a backbone to be trained: its images, how large, and where training begins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from finegrain.models.backbone_table import BackboneSpec

# Of sides of images: backbones halve them five times.
STEP = 32
# Views of the modern recipe.
VIEWS = 4


@dataclass(frozen=True, eq=False)
class Backbone:
    """A backbone and its weights, as `build_backbone` takes them."""

    spec: BackboneSpec
    weights: str


@dataclass(frozen=True)
class Variant:
    """A backbone whose upper layers are trained, in one of several ways that a store is filled for.

    Attributes:
        image_size: side of the images, in pixels.
        unfreeze_from: name of the first layer that is trained; None for the last fifth.
        views: stored of each image, the image as it is and its mirror image among them.
    """

    backbone: Backbone
    image_size: int
    unfreeze_from: str | None
    views: int = VIEWS

    @property
    def name(self) -> str:
        """For the user: the backbone, and what is not as usual."""
        spec, told = self.backbone.spec, ""
        if self.image_size != spec.image_size:
            told += f" at {self.image_size} pixels"
        if self.unfreeze_from != spec.unfreeze_from:
            told += f" from {self.unfreeze_from}"
        if self.views != VIEWS:
            told += f" with {self.views} views"
        return spec.name + told

    @property
    def recorded(self) -> dict[str, Any]:
        """What its candidates' answers depend on, as JSON values."""
        return {
            "backbone": self.backbone.spec.name,
            "image_size": self.image_size,
            "unfreeze_from": self.unfreeze_from,
            "unfrozen_views": self.views,
        }

    @property
    def larger(self) -> float:
        """How many times the usual pixels an image has."""
        return (self.image_size / self.backbone.spec.image_size) ** 2


def usual(backbone: Backbone) -> Variant:
    """A backbone as the modern recipe trains it."""
    spec = backbone.spec
    return Variant(backbone, spec.image_size, spec.unfreeze_from)


def unusual(backbone: Backbone) -> list[Variant]:
    """What else may pay, what promises most for its time first."""
    as_usual = usual(backbone)
    found = [replace(as_usual, image_size=_larger(backbone.spec.image_size))]
    if backbone.spec.more_from is not None:
        found.append(replace(as_usual, unfreeze_from=backbone.spec.more_from))
    return [*found, replace(as_usual, views=2 * VIEWS)]


def _larger(size: int) -> int:
    """A quarter more, rounded up."""
    return -(-size * 5 // 4 // STEP) * STEP


def recorded_variant(recorded: dict[str, Any], backbones: Sequence[Backbone]) -> Variant:
    """The variant of a finished candidate's settings."""
    backbone = next(each for each in backbones if each.spec.name == recorded["backbone"])
    return Variant(
        backbone,
        recorded["image_size"],
        recorded["unfreeze_from"],
        recorded["unfrozen_views"],
    )
