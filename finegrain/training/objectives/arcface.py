"""ArcFace: every class keeps an angle from the others (Deng et al. 2019, arXiv 1801.07698)."""

import math
from typing import Any

import keras
from keras import ops

from finegrain.errors import UserError
from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.classifier import stem
from finegrain.models.heads import CATEGORY
from finegrain.models.heads.category import SOFTMAX
from finegrain.models.layers import UnitLength
from finegrain.models.layers.cosine_logits import CosineLogits
from finegrain.models.model_precision import in_full_precision
from finegrain.tensor import Tensor
from finegrain.training.objectives.objective import Objective
from finegrain.training.stage import Stage

# The paper's scale s and margin m, radians: section 3.1.
SCALE, MARGIN = 64.0, 0.5
DIRECTION = "direction"


class ArcFace(Objective):
    """Softmax over angles, of which the true class's is made larger by a margin."""

    name = "arcface"

    def model(
        self, backbone: keras.Model, spec: BackboneSpec, classes: int, **heads: Any
    ) -> keras.Model:
        """`image` (B, H, W, 3) -> (B, C) cosines, times the scale."""
        # Cosines need a direction to begin with.
        heads.pop("from_zero", None)
        image, _, features = stem(backbone, spec, classes, **heads)
        direction = UnitLength(name=DIRECTION)(features)
        logits = CosineLogits(classes, SCALE, name=CATEGORY)(direction)
        return keras.Model(image, logits, name=self.name)

    def check_stage(self, stage: Stage) -> None:
        """Beside what no objective takes, refuse a shift of logits that are angles."""
        super().check_stage(stage)
        if stage.long_tail == "balanced-softmax":
            raise UserError(
                "--long-tail balanced-softmax shifts logits, and those of --objective arcface are "
                "angles; take --long-tail weights"
            )

    def compile_arguments(self, stage: Stage) -> dict[str, Any]:
        """Cross-entropy with the margin, its labels smoothed as the stage says."""
        loss = ArcFaceLoss(SCALE, MARGIN, stage.label_smoothing)
        return {"loss": loss, "metrics": ["accuracy"]}

    def finished(self, model: keras.Model) -> keras.Model:
        """A plain softmax on the direction: the margin is for training only."""
        whole = in_full_precision(model)
        cosines = whole.get_layer(CATEGORY)
        dense = keras.layers.Dense(cosines.units, activation=SOFTMAX, name=CATEGORY)
        finished = keras.Model(whole.input, dense(whole.get_layer(DIRECTION).output))
        dense.kernel.assign(cosines.directions())
        return finished


@keras.saving.register_keras_serializable(package="finegrain")
class ArcFaceLoss(keras.losses.Loss):
    """Cross-entropy of scaled cosines, the true class's with an additive angular margin.

    Args:
        scale: of the cosines.
        margin: radians. Where the angle and it make more than half a turn, the cosine falls on
            in a straight line instead.
        label_smoothing: share of every label that is spread over all classes, behind the margin.

    Call arguments:
        y_true: (B, C) one-hot or soft; a soft label takes its share of the margin.
        y_pred: (B, C) cosines times the scale.
    """

    def __init__(
        self, scale: float, margin: float, label_smoothing: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.scale, self.margin, self.label_smoothing = scale, margin, label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        cosine = ops.clip(y_pred / self.scale, -1.0, 1.0)
        # The slope of a square root is no number at zero.
        sine = ops.sqrt(ops.maximum(1 - ops.square(cosine), 1e-12))
        further = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        straight = cosine - self.margin * math.sin(self.margin)
        moved = ops.where(cosine > -math.cos(self.margin), further, straight)
        logits = y_pred + y_true * self.scale * (moved - cosine)
        spread = self.label_smoothing / ops.shape(y_true)[-1]
        smoothed = (1 - self.label_smoothing) * y_true + spread
        return ops.categorical_crossentropy(smoothed, logits, from_logits=True)

    def get_config(self) -> dict[str, Any]:
        names = ("scale", "margin", "label_smoothing")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
