"""The recipe's two losses: which class, and the same class or not?"""

from typing import Any

import keras
import numpy as np

from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.heads import CATEGORY, SAME_CLASS
from finegrain.models.multi_loss import PARTNER, multi_loss_model
from finegrain.training.objectives.objective import Objective, dealt, take
from finegrain.training.objectives.softmax import identification_loss
from finegrain.training.pairs import pair_batch, same_class_targets
from finegrain.training.partners import random_negative_partners
from finegrain.training.stage import Stage


class MultiLoss(Objective):
    """Identification and verification loss together: Zheng et al. 2016, arXiv 1611.05666."""

    name = "multi-loss"
    heads = (CATEGORY, SAME_CLASS)
    loss = f"val_{CATEGORY}_loss"
    accuracy = f"val_{CATEGORY}_accuracy"
    smallest_part = 2
    learns_pairs = True

    def model(
        self, backbone: keras.Model, spec: BackboneSpec, classes: int, **heads: Any
    ) -> keras.Model:
        """`image` and `partner` -> (B, C) logits of `category` and (B, 2) of `same_class`."""
        return multi_loss_model(backbone, spec, classes, **heads, activation=None)

    def compile_arguments(self, stage: Stage) -> dict[str, Any]:
        """Both cross-entropies, weighted as the stage says."""
        weights = {CATEGORY: stage.category_weight, SAME_CLASS: stage.same_class_weight}
        verification_loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        return {
            "loss": {CATEGORY: identification_loss(stage), SAME_CLASS: verification_loss},
            "loss_weights": weights,
            "metrics": {name: ["accuracy"] for name in weights},
        }

    def batch(
        self, images: Any, targets: np.ndarray, stage: Stage, seed: int, number: int
    ) -> tuple[Any, Any]:
        """Every image with a partner from the same batch."""
        return pair_batch(images, targets, stage.positive_rate, seed, number, stage.negatives)

    def split(
        self, inputs: Any, targets: Any, parts: int, rng: np.random.Generator
    ) -> list[tuple[Any, Any]]:
        """Pairs that swap places stay together, so positive batches lose nothing.

        Random negative partners point across any cut; each part draws its own, from fewer images
        but by the same rule.
        """
        partner = inputs[PARTNER]
        count = len(partner)
        swapped = bool((partner[partner] == np.arange(count)).all())
        units = [[row] for row in range(count)]
        if swapped:
            # A pair is named by its first image.
            units = [sorted({i, int(j)}) for i, j in enumerate(partner) if i <= j]
            units.sort(key=len, reverse=True)
        return [_part(inputs, targets, rows, swapped, rng) for rows in dealt(units, parts)]


def _part(
    inputs: Any, targets: Any, rows: np.ndarray, swapped: bool, rng: np.random.Generator
) -> tuple[Any, Any]:
    inputs, targets = take(inputs, targets, rows)
    if swapped:
        place = {row: index for index, row in enumerate(rows.tolist())}
        partner = np.array([place[row] for row in inputs[PARTNER].tolist()], dtype=np.int32)
    else:
        partner = random_negative_partners(np.argmax(targets[CATEGORY], axis=1), rng)
    same = same_class_targets(targets[CATEGORY], partner)
    return {**inputs, PARTNER: partner}, {**targets, SAME_CLASS: same}
