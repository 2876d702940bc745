"""One model that answers in a single pass what the ensemble answers in many.

It learns the labels and, half and half, what the ensemble answers out of fold: Hinton et al. 2015,
arXiv 1503.02531, section 2, at a temperature of 1.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from finegrain.datasets.manifest import DataSet
from finegrain.embeddings.logistic import RegressionPath
from finegrain.errors import UserError
from finegrain.leaderboard.answers import Answers
from finegrain.leaderboard.changes import Changes
from finegrain.leaderboard.clock import OutOfTime
from finegrain.leaderboard.ensemble import Ensemble
from finegrain.leaderboard.fold_training import Training
from finegrain.leaderboard.search import Search
from finegrain.leaderboard.tuned import HELD_OUT, TunedBackbone
from finegrain.leaderboard.variant import Backbone, Variant, recorded_variant
from finegrain.models.backbone import BACKBONE_LAYER, weights_digest
from finegrain.models.heads import CATEGORY
from finegrain.records import check_type
from finegrain.runs.run_config import RunSettings
from finegrain.runs.run_folder import RunFolder, describe_data
from finegrain.training.build import build_model
from finegrain.training.objectives import find_objective
from finegrain.training.stage_settings import MODERN, StageSettings

# Share of a label that is the ensemble's answer.
TAUGHT = 0.5


@dataclass(frozen=True, eq=False)
class SingleModel:
    """A finished model, and what it answers to the images held out, (E, C)."""

    model: keras.Model
    held_out: np.ndarray
    settings: StageSettings
    backbone: Backbone
    image_size: tuple[int, int]
    told: str


def single_model(search: Search, ensemble: Ensemble) -> SingleModel:
    """The best trained candidate for whose training there is time, taught by the ensemble.

    Else logistic regression on the frozen backbone that did best alone.
    """
    search.clock.reserved = 0.0
    for each in _best_first(search, "tuned"):
        settings = each.candidate.settings
        variant = recorded_variant(settings, search.backbones)
        changes = Changes(**{name: settings[name] for name in Changes.__dataclass_fields__})
        if search.clock.fits(search.pace.single(variant, changes.unfrozen_epochs)):
            try:
                # Pairs are of one class or of two, which a label shared by several cannot say.
                return _taught(search, ensemble, variant, replace(changes, pair_loss="none"))
            except (OutOfTime, UserError) as error:
                print(f"notice  no single model by {variant.name}: {error}", flush=True)
    return _regression(search)


def _best_first(search: Search, kind: str) -> list[Answers]:
    labels = search.partition.labels
    found = [each for each in search.finished if each.candidate.settings["kind"] == kind]
    return sorted(found, key=lambda each: search.metric.loss(each.out_of_fold, labels))


def _taught(search: Search, ensemble: Ensemble, variant: Variant, changes: Changes) -> SingleModel:
    partition = search.partition
    opened = TunedBackbone(partition, variant, search.means)
    try:
        hard = np.eye(len(partition.classes), dtype=np.float32)[partition.labels]
        soft = (1 - TAUGHT) * hard + TAUGHT * ensemble.mean("out_of_fold")
        everything = np.arange(len(partition.known))
        training = Training(opened, changes, everything, soft.astype(np.float32))
        training.learn(everything, partition.fold_count, search.clock.check)
        held_out = training.answer(HELD_OUT, np.arange(len(partition.held_out)))
        return SingleModel(
            training.finished(),
            held_out.astype(np.float32),
            opened.settings(changes),
            variant.backbone,
            opened.frame.size,
            f"{variant.name}, taught by the ensemble",
        )
    finally:
        opened.close()


def _regression(search: Search) -> SingleModel:
    partition = search.partition
    alone = [
        each.candidate.settings["backbones"][0]
        for each in _best_first(search, "regression")
        if len(each.candidate.settings["backbones"]) == 1
    ]
    backbone = next(each for each in search.backbones if each.spec.name == alone[0])
    embedded = search.embedded(backbone)
    out, classes = partition.folds == 0, len(partition.classes)

    def path_of(rows: np.ndarray) -> RegressionPath:
        both = np.concatenate(list(embedded.known[:, rows]))
        return RegressionPath(both, np.tile(partition.labels[rows], 2), classes)

    place = path_of(~out).best(embedded.known[0, out], partition.labels[out])
    found = path_of(np.full(len(out), True)).at(place)
    flags: dict[str, Any] = {**MODERN, "backbone": backbone.spec.name, "seed": search.means.seed}
    settings = StageSettings(data=Path(), run=Path(), recipe="modern", **flags)
    objective, recorded = find_objective("softmax"), check_type(settings.recorded(), RunSettings)
    size = (backbone.spec.image_size, backbone.spec.image_size)
    model = build_model(objective, backbone.spec, backbone.weights, size, classes, recorded)
    weights = [found.kernel.astype("float32"), found.bias.astype("float32")]
    model.get_layer(CATEGORY).set_weights(weights)
    held_out = softmax(found.logits(embedded.held_out[0]), axis=1)
    return SingleModel(
        objective.finished(model),
        held_out.astype(np.float32),
        settings,
        backbone,
        size,
        f"logistic regression on {backbone.spec.name}, frozen",
    )


def save_run(single: SingleModel, data: DataSet, folder: Path) -> None:
    """Write a run folder that all tools open, in place of an earlier one of this search."""
    backbone = single.model.get_layer(BACKBONE_LAYER)
    config = {
        "recipe": "softmax",
        "defaults": "modern",
        "settings": single.settings.recorded(),
        "backbone": single.backbone.spec.name,
        "precision": "float32",
        "image_size": list(single.image_size),
        "data": describe_data(data),
        "weights": {"name": single.backbone.weights, "digest": weights_digest(backbone)},
        "heads": [CATEGORY],
    }
    for name in ("config.json", "classes.json", "graph.zip", "graph-rounded.zip"):
        (folder / name).unlink(missing_ok=True)
    RunFolder.start(folder, config, data.classes).save_model(single.model)
