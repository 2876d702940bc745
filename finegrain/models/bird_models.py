"""The models for CUB-200-2011 by name: a backbone, an image size, a head and its tail."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finegrain.errors import no_such

ATTENTION, SE, CBAM = ({"head": f"{name}_coded"} for name in ("attention", "se", "cbam"))
FAN_OUT = {"head": "bilinear_attention_coded"}
# The products of `block5_pool`, 9 x 9 places of 300 pixels, and not of the 18 x 18 before it.
POOLED = {"backbone": "vgg16", "unfrozen_epochs": 100}


@dataclass(frozen=True)
class BirdModel:
    """One row of the table, by the name that is typed after `--model`.

    Attributes:
        backbone, head: names in their tables.
        image_size: side of the square input in pixels.
        hidden: width of the ReLU layer between embedding and softmax.
        hidden_dropout: share of the embedding dropped before that layer.
        dropout: share of that layer dropped before the softmax.
        coded: what the code of its source has and this row has not, by the names of the script's
            flags.
        accuracy: of the validation images of CUB-200-2011, as reported by those who first
            trained it; another implementation than this one.
    """

    name: str
    backbone: str
    image_size: int
    head: str
    hidden: int
    hidden_dropout: float
    dropout: float
    coded: Mapping[str, Any] = field(default_factory=dict)
    accuracy: float | None = None


def bird_models() -> dict[str, BirdModel]:
    """All rows by name."""
    # The width and the two dropouts between embedding and softmax.
    wide, tail = (1024, 0.0, 0.5), (1000, 0.25, 0.25)
    b3 = "efficientnet_b3"
    rows = [
        BirdModel("vgg16", "vgg16", 300, "plain", *wide, accuracy=0.651),
        BirdModel("efficientnet_b4", "efficientnet_b4", 224, "plain", *wide, accuracy=0.775),
        BirdModel("efficientnet_b3_attention", b3, 224, "attention", *tail, ATTENTION, 0.795),
        BirdModel("efficientnet_b3_se", b3, 224, "se", *tail, SE, 0.780),
        BirdModel("efficientnet_b3_cbam", b3, 224, "cbam", *tail, CBAM),
        BirdModel("bilinear_efficientnet", b3, 256, "bilinear_attention", *tail, FAN_OUT, 0.802),
        BirdModel("bilinear_vgg16", "vgg16_conv5", 300, "bilinear", *wide, POOLED, 0.763),
    ]
    return {row.name: row for row in rows}


def find_bird_model(name: str) -> BirdModel:
    """The model of a name, or a `UserError`; case and `-` or `_` do not matter."""
    listed = bird_models()
    wanted = name.strip().lower().replace("-", "_")
    if wanted in listed:
        return listed[wanted]
    raise no_such("model", name, wanted, {key: key for key in listed}, cutoff=0.4)
