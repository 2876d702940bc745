"""The pairwise head on embeddings that are there already."""

import keras
import numpy as np

from finegrain.evaluation.evaluate import PAIR_BLOCK, PairScore
from finegrain.models.heads.same_class import SAME_CLASS, SQUARED_DIFFERENCE
from finegrain.models.image_heads import EMBEDDING


def same_class_scores(model: keras.Model) -> PairScore | None:
    """The model's probability of "the same class" for pairs of embeddings.

    Args:
        model: finished model.

    Returns:
        (P, D) and (P, D) embeddings, any P -> (P,) float32; None where the model has no such head.
    """
    if SAME_CLASS not in [layer.name for layer in model.layers]:
        return None
    width = model.get_layer(EMBEDDING).output.shape[-1]
    inputs = [keras.Input((width,)), keras.Input((width,))]
    difference = model.get_layer(SQUARED_DIFFERENCE)(inputs)
    head = keras.Model(inputs, model.get_layer(SAME_CLASS)(difference), name="pair_head")

    def score(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        # Always one shape: a backend compiles each anew.
        missing = -len(one) % PAIR_BLOCK
        filled = [np.pad(some, ((0, missing), (0, 0))) for some in (one, other)]
        answers = [
            head.predict_on_batch([some[start : start + PAIR_BLOCK] for some in filled])
            for start in range(0, len(filled[0]), PAIR_BLOCK)
        ]
        return np.concatenate([np.asarray(answer) for answer in answers])[: len(one), 1]

    return score
