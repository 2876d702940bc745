"""The training model that a run's settings describe, for pictures of one size or another."""

import math

import keras

from finegrain.errors import UserError
from finegrain.models.backbone import build_backbone
from finegrain.models.backbone_table import BackboneSpec, fed_with, find_backbone
from finegrain.models.heads import CATEGORY, SAME_CLASS
from finegrain.models.image_heads import PLAIN, find_head
from finegrain.models.same_weights import copy_weights
from finegrain.runs.run_config import RunConfig, RunSettings
from finegrain.training.objectives import find_objective
from finegrain.training.objectives.objective import Objective


def build_model(
    objective: Objective,
    spec: BackboneSpec,
    weights: str,
    size: tuple[int, int],
    classes: int,
    settings: RunSettings,
    memory_gb: float = math.inf,
) -> keras.Model:
    """The training model that the recorded settings of a run describe; the size is (H, W).

    Raises:
        UserError: no such head, weights or size for this backbone, or a head beyond the memory.
    """
    # Before the weights are loaded, or downloaded: a head's name may be mistyped.
    head = find_head(settings.head or PLAIN.name, settings.compact, settings.pooling)
    pairs = {}
    if SAME_CLASS in objective.heads:
        pairs["pairs_from_zero"] = settings.pair_start == "zero"
    return objective.model(
        build_backbone(spec, weights, size),
        fed_with(spec, settings.pixels),
        classes,
        dropout=settings.dropout,
        hidden=settings.hidden or 0,
        head=head,
        hidden_dropout=settings.hidden_dropout,
        neck=settings.neck,
        seed=settings.seed,
        memory_gb=memory_gb,
        from_zero=settings.head_start == "zero",
        **pairs,
    )


def check_head_start(model: keras.Model, settings: RunSettings, weights: str) -> None:
    """Refuse to begin with a regression on an embedding that is not the softmax's own.

    Args:
        model: the training model.
        settings: it was built with these.
        weights: what its backbone was built with.

    Raises:
        UserError: names the setting that stands in the way.
    """
    if settings.head_start != "logistic":
        return
    is_dense = isinstance(model.get_layer(CATEGORY), keras.layers.Dense)
    obstacles = {
        "--weights none": weights == "none",
        f"--head {settings.head}": find_head(settings.head or PLAIN.name).name != PLAIN.name,
        f"--pooling {settings.pooling}": settings.pooling != "mean",
        f"--neck {settings.neck}": settings.neck != "none",
        f"--hidden {settings.hidden}": bool(settings.hidden),
        "an objective without a plain softmax": not is_dense,
    }
    for obstacle, is_there in obstacles.items():
        if is_there:
            raise UserError(
                "--head-start logistic is for a softmax on the mean of a pretrained backbone's "
                f"feature map, which it is not with {obstacle}; leave out one of the two"
            )


def rebuild_model(config: RunConfig, size: tuple[int, int], classes: int) -> keras.Model:
    """The training model of a run that there is, without its weights.

    Raises:
        UserError: the backbone cannot take pictures of this size.
    """
    objective, spec = find_objective(config.recipe), find_backbone(config.backbone)
    # Where it was trained, it fitted.
    return build_model(objective, spec, "none", size, classes, config.settings)


def take_trained(model: keras.Model, trained: keras.Model) -> None:
    """Give a model the weights of the same one for pictures of another size.

    Raises:
        UserError: some of them go with the size, as those of a layer on a flattened map do.
    """
    try:
        copy_weights(trained, model)
    except ValueError as error:
        side, other = (each.get_layer("image").output.shape[1] for each in (trained, model))
        raise UserError(
            f"this model has weights that go with pictures of {side} pixels, so that it cannot "
            f"take those of {other}; stay at {side}"
        ) from error
