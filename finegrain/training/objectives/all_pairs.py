"""Which class, and all pairs of a batch at once: the recipe's idea in its later forms."""

from typing import Any

import keras
import numpy as np

from finegrain.models.backbone_table import BackboneSpec
from finegrain.models.classifier import stem
from finegrain.models.heads import CATEGORY
from finegrain.models.heads.category import category_head
from finegrain.models.model_precision import in_full_precision
from finegrain.training.objectives.objective import Objective, take
from finegrain.training.objectives.pair_losses import PairLoss
from finegrain.training.objectives.softmax import identification_loss
from finegrain.training.stage import Stage

# The output that the pair loss takes.
PAIRS = "pairs"


class AllPairs(Objective):
    """The identification loss, and a loss of the embeddings of all images of a batch.

    Every image is compared with all others of its batch, where `MultiLoss` gives it one partner,
    and passes the backbone once all the same. The finished model is a plain softmax.

    Args:
        name: of a row of `PAIR_LOSSES`.
    """

    loss = f"val_{CATEGORY}_loss"
    accuracy = f"val_{CATEGORY}_accuracy"
    smallest_part = 2
    learns_pairs = True

    def __init__(self, name: str):
        self.name = name

    def model(
        self, backbone: keras.Model, spec: BackboneSpec, classes: int, **heads: Any
    ) -> keras.Model:
        """`image` (B, H, W, 3) -> `category`, (B, C) logits, and `pairs`, embeddings (B, D)."""
        from_zero = heads.pop("from_zero", False)
        image, embedding, features = stem(backbone, spec, classes, **heads)
        logits = category_head(features, classes, None, from_zero)
        # A layer of its own: Keras cannot cut a graph at a tensor that is also an output.
        compared = keras.layers.Identity(dtype="float32", name=PAIRS)(embedding)
        return keras.Model(image, {CATEGORY: logits, PAIRS: compared}, name=self.name)

    def compile_arguments(self, stage: Stage) -> dict[str, Any]:
        """Cross-entropy and pair loss, weighted as the stage says."""
        return {
            "loss": {CATEGORY: identification_loss(stage), PAIRS: PairLoss(self.name)},
            "loss_weights": {CATEGORY: stage.category_weight, PAIRS: stage.same_class_weight},
            "metrics": {CATEGORY: ["accuracy"]},
        }

    def batch(
        self, images: Any, targets: np.ndarray, stage: Stage, seed: int, number: int
    ) -> tuple[Any, Any]:
        """The classes for both: pairs follow from them."""
        return images, {CATEGORY: targets, PAIRS: targets}

    def split(
        self, inputs: Any, targets: Any, parts: int, rng: np.random.Generator
    ) -> list[tuple[Any, Any]]:
        """Classes stay together as far as they fit, so that few positive pairs are lost.

        Of the negative pairs those inside the parts remain.
        """
        labels = np.argmax(targets[CATEGORY], axis=1)
        classes = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
        most = -(-len(labels) // parts)
        hands: list[list[int]] = [[] for _ in range(parts)]
        for rows in sorted(classes, key=len, reverse=True):
            while rows:
                emptiest = min(hands, key=len)
                room = most - len(emptiest)
                emptiest += rows[:room]
                rows = rows[room:]
        return [take(inputs, targets, np.array(hand)) for hand in hands if hand]

    def finished(self, model: keras.Model) -> keras.Model:
        """A plain softmax: the pair loss has done its work on the embeddings."""
        whole = in_full_precision(model)
        category = whole.get_layer(CATEGORY)
        category.activation = keras.activations.softmax
        return keras.Model(whole.input, category.output, name="softmax")
