"""Which features stand together: outer products of a feature map (B, h, w, C) with itself."""

import keras

from finegrain.models.layers import (
    OuterProduct,
    RelativeToLargest,
    SignedSquareRoot,
    TensorSketch,
    UnitLength,
)
from finegrain.tensor import Tensor


def bilinear_pooling(features: Tensor, name: str) -> Tensor:
    """The features' mean outer product, its signed square root at unit length: (B, C * C).

    Lin, RoyChowdhury and Maji 2015, "Bilinear CNN Models for Fine-grained Visual Recognition",
    arXiv 1504.07889, section 3, with both streams the same network.
    """
    return _pooled(features, OuterProduct(name="outer_product"), name)


def compact_bilinear_pooling(features: Tensor, width: int, seed: int, name: str) -> Tensor:
    """What `bilinear_pooling` gives, sketched with a seed in `width` numbers: (B, width).

    Gao, Beijbom, Zhang and Darrell 2016, "Compact Bilinear Pooling", arXiv 1511.06062.
    """
    return _pooled(features, TensorSketch(width, seed, name="tensor_sketch"), name)


def _pooled(features: Tensor, pooling: keras.layers.Layer, name: str) -> Tensor:
    pooled = pooling(RelativeToLargest(name="relative_features")(features))
    return UnitLength(name=name)(SignedSquareRoot(name="signed_square_root")(pooled))
