"""Softmax cross-entropy: which class?"""

from typing import Any

import keras

from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.classifier import softmax_model
from finegrain.training.objectives.objective import Objective
from finegrain.training.stage import Stage


def identification_loss(stage: Stage) -> keras.losses.Loss:
    """Cross-entropy of class logits, its labels smoothed as the stage says.

    Szegedy et al. 2016, arXiv 1512.00567, section 7.
    """
    return keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=stage.label_smoothing
    )


class Softmax(Objective):
    """The baseline: the identification loss alone."""

    name = "softmax"

    def model(
        self, backbone: keras.Model, spec: BackboneSpec, classes: int, **heads: Any
    ) -> keras.Model:
        """`image` (B, H, W, 3) -> (B, C) logits."""
        return softmax_model(backbone, spec, classes, **heads, activation=None)

    def compile_arguments(self, stage: Stage) -> dict[str, Any]:
        """The cross-entropy of the class."""
        return {"loss": identification_loss(stage), "metrics": ["accuracy"]}
