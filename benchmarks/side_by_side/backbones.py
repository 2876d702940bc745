"""The backbones that the recipe as first coded is kept for."""

from pathlib import Path

from finegrain.errors import UserError

# Module of keras.applications -> class, and first layer that stages 2 and 3 train.
BUILDERS = {
    "xception": "Xception",
    "inception_v3": "InceptionV3",
    "mobilenet_v2": "MobileNetV2",
}
BOUNDARIES = {"xception": 105, "inception_v3": "mixed8", "mobilenet_v2": "block_13_expand"}


def family(backbone: str) -> tuple[str, dict[str, float]]:
    """Module and further arguments of a backbone: `mobilenet_v2_0.35` has `alpha` 0.35.

    Raises:
        UserError: the recipe as first coded is not kept for this backbone.
    """
    name, dot, width = backbone.partition("_0.")
    if name not in BUILDERS or (dot and name != "mobilenet_v2") or (dot and not width.isdecimal()):
        raise UserError(
            f"--backbone {backbone} is none that the recipe as first coded is kept for; "
            f"give {', '.join(BUILDERS)} or mobilenet_v2_0.35"
        )
    return name, {"alpha": float(f"0.{width}")} if dot else {}


def check_weights(weights: str) -> None:
    """Refuse weights that are neither `imagenet`, `none` nor a file.

    Raises:
        UserError: there is no such file.
    """
    if weights not in ("imagenet", "none") and not Path(weights).is_file():
        raise UserError(
            f"--weights {weights!r} is no file; give `imagenet`, `none` or a .weights.h5 file"
        )
