"""Classes of few images beside classes of many: what a stage's `long_tail` changes in training.

Neither way touches the validation loss, which stays the plain one, nor the finished model.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from finegrain.models.heads import CATEGORY
from finegrain.models.layers.class_prior import ClassPrior

WEIGHTS, BALANCED_SOFTMAX = "weights", "balanced-softmax"


def class_weights(counts: np.ndarray) -> np.ndarray:
    """(C,) float32 weights as 1 / count, of (C,) images a class; their mean over all images is 1.

    A class without images, which no label names, has the weight of one with a single image.
    """
    return (counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype("float32")


def weighted_classes(
    batches: Iterable[tuple[Any, ...]], weights: np.ndarray
) -> Iterator[tuple[Any, Any, Any]]:
    """Batches in which the identification loss of an image weighs as much as its class.

    Args:
        batches: `(inputs, targets)`, or with weights (B,) of the images behind, as parts of a
            batch have them.
        weights: (C,), from `class_weights`. A soft label takes its shares of them.
    """
    for inputs, targets, *given in batches:
        each = given[0] if given else np.float32(1)
        if isinstance(targets, dict):
            # All other losses are as they were.
            of_image = {name: np.full(len(rows), each) for name, rows in targets.items()}
            of_image[CATEGORY] = each * (targets[CATEGORY] @ weights)
            yield inputs, targets, of_image
        else:
            yield inputs, targets, each * (targets @ weights)


def with_class_prior(model: keras.Model, counts: np.ndarray) -> keras.Model:
    """A training model of the same layers whose logits have the classes' prior in training.

    Args:
        model: gives logits, alone or in a dict as `category`.
        counts: (C,) training images a class.
    """
    prior = ClassPrior(counts.tolist(), name="class_prior")
    outputs = model.output
    if isinstance(outputs, dict):
        outputs = {**outputs, CATEGORY: prior(outputs[CATEGORY])}
    else:
        outputs = prior(outputs)
    return keras.Model(model.input, outputs, name=model.name)
