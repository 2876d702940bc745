"""A backbone and the store of its activations, which its upper layers are trained from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from finegrain.errors import UserError
from finegrain.features.compute import FeatureComputer, FeatureOverflow, fill
from finegrain.features.cut import Cut, cut_at_boundary
from finegrain.features.engine import engine_of
from finegrain.features.stored import feature_key
from finegrain.frame import Frame
from finegrain.images.batches import PhotoBatches
from finegrain.leaderboard.changes import Changes
from finegrain.leaderboard.cost import gains_by_rounding
from finegrain.leaderboard.means import Means
from finegrain.leaderboard.partition import Partition
from finegrain.leaderboard.variant import Variant
from finegrain.memory import size_in_words
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index
from finegrain.models.step_memory import step_memory
from finegrain.records import check_type
from finegrain.runs.run_config import RunSettings
from finegrain.stores.row_store import RowStore
from finegrain.stores.store_folder import GIGABYTE
from finegrain.training.build import build_model
from finegrain.training.computing import MIXED_BFLOAT16
from finegrain.training.objectives import find_objective
from finegrain.training.objectives.objective import Objective
from finegrain.training.stage_settings import MODERN, StageSettings, objective_of
from finegrain.training.train_stage import prepare_stage

KNOWN, HELD_OUT, TEST = "known", "held_out", "test"
# The first stored view of an image is the image as it is, the second its mirror image.
BOTH = 2
# Of each class in a batch, where pairs are learnt too.
IMAGES_PER_CLASS = 4


class TunedBackbone:
    """A variant whose upper layers are trained again and again, from one store.

    The store is filled when it is made: the recipe's views of the known images, those held out and
    the test images as they are and mirrored.

    Raises:
        UserError: an image can no longer be read, the store has no room for all rows, or training
            is likely to take more memory than may be taken.
    """

    def __init__(self, partition: Partition, variant: Variant, means: Means):
        self.partition, self.variant, self.means = partition, variant, means
        self.spec, self.weights = variant.backbone.spec, variant.backbone.weights
        self.frame = Frame(variant.image_size, variant.image_size)
        self.batch_size = min(means.batch_size, len(partition.known))
        # Rows are those of the recipe; what a candidate changes does not touch them.
        changes = Changes()
        objective, model = self.model(changes)
        backbone = model.get_layer(BACKBONE_LAYER)
        self.boundary = variant.unfreeze_from or str(boundary_index(backbone, None))
        (self.stage,) = self.settings(changes).stages(self.boundary)
        prepare_stage(model, objective, self.stage, 1)
        self._check_memory(model)
        self.store, self.computer = self._filled(self.cut(model))

    def settings(self, changes: Changes) -> StageSettings:
        """The flags of a candidate."""
        chosen: dict[str, Any] = {**MODERN, **asdict(changes), **self.variant.recorded}
        del chosen["pair_loss"]
        if changes.pair_loss != "none":
            chosen["images_per_class"] = IMAGES_PER_CLASS
        return StageSettings(
            data=Path(), run=Path(), recipe="modern", seed=self.means.seed, **chosen
        )

    def model(self, changes: Changes) -> tuple[Objective, keras.Model]:
        """What is learnt, and a new model that learns it."""
        keras.utils.set_random_seed(self.means.seed)
        objective = find_objective(objective_of(changes.pair_loss))
        recorded = check_type(self.settings(changes).recorded(), RunSettings)
        classes = len(self.partition.classes)
        with self._precision():
            model = build_model(
                objective, self.spec, self.weights, self.frame.size, classes, recorded
            )
        return objective, model

    @contextmanager
    def _precision(self) -> Iterator[None]:
        """Models that are made meanwhile compute as suits the backbone."""
        before = keras.config.dtype_policy()
        if self.means.rounded and gains_by_rounding(self.variant.backbone):
            keras.config.set_dtype_policy(MIXED_BFLOAT16)
        try:
            yield
        finally:
            keras.config.set_dtype_policy(before)

    def cut(self, model: keras.Model) -> Cut:
        """The model where its training begins."""
        first = boundary_index(model.get_layer(BACKBONE_LAYER), self.boundary)
        with self._precision():
            cut = cut_at_boundary(model, first)
        if cut is None:
            raise UserError(f"nothing of {self.spec.name} stands still, so it cannot be stored")
        return cut

    def photos(self, paths: Sequence[Path], labels: np.ndarray | None = None) -> PhotoBatches:
        """The recipe's views of images, whose labels do not matter where none are given."""
        known = np.zeros(len(paths), np.int64) if labels is None else labels
        return PhotoBatches(
            list(paths),
            known,
            len(self.partition.classes),
            self.frame,
            self.batch_size,
            seed=self.means.seed,
            augmentation=self.stage.augmentation,
            plain_views=True,
        )

    def _check_memory(self, model: keras.Model) -> None:
        first = boundary_index(model.get_layer(BACKBONE_LAYER), self.boundary)
        # What is stored does not pass the layers below.
        likely = step_memory(model, first, self.stage.optimizer).at(self.batch_size, 0)
        if likely > self.means.memory_gb * GIGABYTE:
            raise UserError(
                f"training {self.variant.name} is likely to take {size_in_words(likely)}; give "
                "more --memory-gb or a smaller --batch-size to have it trained too"
            )

    def _filled(self, cut: Cut) -> tuple[RowStore, FeatureComputer]:
        openvino, folder = self.means.openvino, self.means.folder
        partition = self.partition
        photos = {
            KNOWN: self.photos(partition.known, partition.labels),
            HELD_OUT: self.photos(partition.held_out),
            TEST: self.photos(list(partition.test.values())),
        }
        views = {KNOWN: self.stage.fixed_views, HELD_OUT: BOTH, TEST: BOTH}
        rows = {split: views[split] * len(batches.paths) for split, batches in photos.items()}
        checksums = partition.checksums | dict.fromkeys(partition.test.values(), "")
        engine = f"{'openvino' if openvino else 'keras'} {keras.config.dtype_policy().name}"
        key = feature_key(cut, photos, checksums, self.stage.fixed_views, engine)
        store = folder.open(cut.name, key, cut.kinds, rows)
        if store is None or any(store.splits.get(split, 0) < rows[split] for split in rows):
            if store is not None:
                store.close()
            raise UserError(
                f"the activations of {self.variant.name} do not fit: {folder.reason}; give more "
                "--cache-gb to have it trained too"
            )
        computer = FeatureComputer(engine_of(cut.below, openvino, sum(rows.values())), cut.kinds)
        try:
            stopped = fill(
                store, photos, computer, self.means.workers, lambda *_: self.means.on_rows()
            )
        except FeatureOverflow as error:
            store.close()
            raise UserError(f"{self.variant.name} cannot be stored: {error}") from error
        except BaseException:
            store.close()
            raise
        if stopped:
            store.close()
            raise UserError(f"the activations of {self.variant.name} were not stored: {stopped}")
        return store, computer

    def close(self) -> None:
        """Close the store."""
        self.store.close()
