"""The models for CUB-200-2011 by name: a backbone, an image size, a head and its tail."""

from dataclasses import dataclass

from finegrain.errors import no_such


@dataclass(frozen=True)
class BirdModel:
    """One row of the table, by the name that is typed after `--model`.

    Attributes:
        backbone, head: names in their tables.
        image_size: side of the square input in pixels.
        hidden: width of the ReLU layer between embedding and softmax.
        hidden_dropout: share of the embedding dropped before that layer.
        dropout: share of that layer dropped before the softmax.
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
    accuracy: float | None = None


def bird_models() -> dict[str, BirdModel]:
    """All rows by name."""
    # The width and the two dropouts between embedding and softmax.
    wide, tail = (1024, 0.0, 0.5), (1000, 0.25, 0.25)
    b3 = "efficientnet_b3"
    rows = [
        BirdModel("vgg16", "vgg16", 300, "plain", *wide, accuracy=0.651),
        BirdModel("efficientnet_b4", "efficientnet_b4", 224, "plain", *wide, accuracy=0.775),
        BirdModel("efficientnet_b3_attention", b3, 224, "attention", *tail, accuracy=0.795),
        BirdModel("efficientnet_b3_se", b3, 224, "se", *tail, accuracy=0.780),
        BirdModel("efficientnet_b3_cbam", b3, 224, "cbam", *tail),
        BirdModel("bilinear_efficientnet", b3, 256, "bilinear_attention", *tail, accuracy=0.802),
        BirdModel("bilinear_vgg16", "vgg16_conv5", 300, "bilinear", *wide, accuracy=0.763),
    ]
    return {row.name: row for row in rows}


def find_bird_model(name: str) -> BirdModel:
    """The model of a name, or a `UserError`; case and `-` or `_` do not matter."""
    listed = bird_models()
    wanted = name.strip().lower().replace("-", "_")
    if wanted in listed:
        return listed[wanted]
    raise no_such("model", name, wanted, {key: key for key in listed}, cutoff=0.4)
