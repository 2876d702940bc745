"""Which features stand together: the full outer product of the feature map with itself."""

from finegrain.models.layers import OuterProduct, RelativeToLargest, SignedSquareRoot, UnitLength
from finegrain.tensor import Tensor


def bilinear_pooling(features: Tensor, name: str) -> Tensor:
    """The features' mean outer product, its signed square root at unit length.

    Lin, RoyChowdhury and Maji 2015, "Bilinear CNN Models for Fine-grained Visual Recognition",
    arXiv 1504.07889, section 3, with both streams the same network.

    Args:
        features: (B, h, w, C) Keras tensor.
        name: of the last layer.

    Returns:
        (B, C * C) Keras tensor, float32, rows of length 1.
    """
    return root_at_unit_length(OuterProduct(name="outer_product")(evened(features)), name)


def evened(features: Tensor) -> Tensor:
    """The feature map as the pooling may have it: no square overflows."""
    return RelativeToLargest(name="relative_features")(features)


def root_at_unit_length(pooled: Tensor, name: str) -> Tensor:
    """How bilinear features are normalised: signed square root, then unit length.

    Args:
        pooled: (B, D) Keras tensor.
        name: of the last layer.
    """
    return UnitLength(name=name)(SignedSquareRoot(name="signed_square_root")(pooled))
