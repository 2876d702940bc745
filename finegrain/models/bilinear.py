"""Pixels between the pixels, on any backend."""

from keras import ops

from finegrain.tensor import Tensor


def bilinear(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Pixels at places between the pixels; outside the image, those of its nearest edge.

    `keras.ops.image.affine_transform` does the same, but on JAX it interpolates between channels
    too and multiplies coordinates in the GPU's short float, and TensorFlow's XLA cannot compile it.

    Args:
        image: (B, H, W, C) floats.
        x: (B, h, w) columns, 0 to W - 1.
        y: (B, h, w) rows, 0 to H - 1.

    Returns:
        (B, h, w, C) floats.
    """
    height, width, channels = image.shape[1:]
    x, y = ops.clip(x, 0, width - 1), ops.clip(y, 0, height - 1)
    left, top = ops.floor(x), ops.floor(y)
    right_share, lower_share = ops.expand_dims(x - left, -1), ops.expand_dims(y - top, -1)
    left, top = ops.cast(left, "int32"), ops.cast(top, "int32")
    right, bottom = ops.minimum(left + 1, width - 1), ops.minimum(top + 1, height - 1)
    flat = ops.reshape(image, (-1, channels))
    first = ops.arange(ops.shape(image)[0], dtype="int32") * (height * width)
    first = ops.reshape(first, (-1, 1, 1))

    def row(y: Tensor) -> Tensor:
        start = first + y * width
        one, other = ops.take(flat, start + left, axis=0), ops.take(flat, start + right, axis=0)
        return one + (other - one) * right_share

    upper = row(top)
    return upper + (row(bottom) - upper) * lower_share
