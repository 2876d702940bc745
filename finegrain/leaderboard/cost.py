"""What backbones cost and what they are worth, measured before, to tell what to try first."""

from collections.abc import Sequence
from typing import NamedTuple

from finegrain.leaderboard.variant import Backbone


class Known(NamedTuple):
    """Of one backbone, at its own size.

    Attributes:
        passes: images a second through all of it, on two CPU cores in float32.
        trained: images a second in training of its last blocks from what is stored.
        accuracy: top-1 accuracy on ImageNet, which tells how much its embeddings know.
        rounded: how many times as fast its last blocks train in bfloat16, on a CPU that multiplies
            it.
    """

    passes: float
    trained: float
    accuracy: float
    rounded: float = 1.0


# Rates: `python benchmarks/backbone_table.py`, docs/hardware.md; what rounding gains was timed
# once, on a busy machine. Accuracies: those that Keras documents, keras.io/api/applications, of the
# narrow one that of its makers; the small one was trained on drawings.
TABLE = {
    "mobilenet_v2_0.35": Known(948, 380, 0.603),
    "xception_small": Known(832, 375, 0.0, 1.25),
    "mobilenet_v2": Known(210, 166, 0.713, 0.9),
    "efficientnet_b0": Known(148, 86.2, 0.771, 0.7),
    "efficientnet_b1": Known(84.8, 48.2, 0.791),
    "efficientnet_b2": Known(59.9, 31.8, 0.801),
    "densenet121": Known(34.3, 121, 0.750),
    "efficientnet_b3": Known(33.5, 20.1, 0.816),
    "resnet50": Known(30.5, 34.5, 0.749, 1.5),
    "inception_v3": Known(19, 38.9, 0.779, 2.1),
    "efficientnet_b4": Known(11.6, 9.69, 0.829),
    "xception": Known(11.5, 16.8, 0.790, 1.3),
    "inception_resnet_v2": Known(7.63, 17.4, 0.803),
    "vgg16": Known(7.5, 24.6, 0.713),
    "vgg16_conv5": Known(7.4, 26.9, 0.713),
}
# Of a backbone of 224 pixels that is not in the table: rather too slow than too fast.
UNKNOWN = Known(15, 15, 0.75)
USUAL_SIZE = 224
# Rounding is for who gains this much by it.
ENOUGH = 1.3


def known(backbone: Backbone) -> Known:
    """What is known of a backbone, or supposed."""
    spec = backbone.spec
    if spec.name in TABLE:
        return TABLE[spec.name]
    smaller = (USUAL_SIZE / spec.image_size) ** 2
    return Known(UNKNOWN.passes * smaller, UNKNOWN.trained * smaller, UNKNOWN.accuracy)


def in_order(backbones: Sequence[Backbone]) -> list[Backbone]:
    """The fastest first, so that there is an answer soon; then what knows most for its time."""
    first = max(backbones, key=lambda each: known(each).passes)

    def worth(backbone: Backbone) -> float:
        return (known(backbone).accuracy - known(first).accuracy) * known(backbone).passes

    others = [each for each in backbones if each is not first]
    return [first, *sorted(others, key=worth, reverse=True)]


def gains_by_rounding(backbone: Backbone) -> bool:
    """Whether its last blocks train so much faster in bfloat16 that it is worth 8 bits."""
    return known(backbone).rounded >= ENOUGH
