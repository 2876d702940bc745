"""What is known of an image before it is looked at: how many there are of each class."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from finegrain.models.layers.float32_layer import Float32Layer
from finegrain.tensor import Tensor


@keras.saving.register_keras_serializable(package="finegrain")
class ClassPrior(Float32Layer):
    """Adds the logarithm of each class's share of the images to its logits (B, C), in training.

    So the logits need not learn that some classes are seen more often, and without it they tell
    of the image alone: Ren et al. 2020, "Balanced Meta-Softmax for Long-Tailed Visual
    Recognition", arXiv 2007.10740, section 3.1.

    Args:
        counts: images of each of the C classes; none counts as one.
    """

    SETTINGS = ("counts",)

    def __init__(self, counts: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.counts = tuple(max(int(count), 1) for count in counts)

    def call(self, logits: Tensor, training: bool | None = None) -> Tensor:
        if not training:
            return logits
        return logits + ops.log(ops.convert_to_tensor(self.counts, "float32") / sum(self.counts))
