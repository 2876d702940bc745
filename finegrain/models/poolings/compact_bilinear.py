"""The outer product of the feature map with itself, at a width one can choose."""

from finegrain.models.layers import TensorSketch
from finegrain.models.poolings.bilinear import evened, root_at_unit_length
from finegrain.tensor import Tensor


def compact_bilinear_pooling(features: Tensor, width: int, seed: int, name: str) -> Tensor:
    """What `bilinear_pooling` gives, sketched in `width` numbers.

    Gao, Beijbom, Zhang and Darrell 2016, "Compact Bilinear Pooling", arXiv 1511.06062.

    Args:
        features: (B, h, w, C) Keras tensor.
        width: numbers in the result.
        seed: of the sketch.
        name: of the last layer.

    Returns:
        (B, width) Keras tensor, float32, rows of length 1.
    """
    sketch = TensorSketch(width, seed, name="tensor_sketch")(evened(features))
    return root_at_unit_length(sketch, name)
