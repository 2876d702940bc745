"""Candidates that train the last blocks of a backbone, all folds from one store of activations."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from finegrain.errors import UserError
from finegrain.features.compute import FeatureComputer, FeatureOverflow, fill
from finegrain.features.cut import Cut, cut_at_boundary
from finegrain.features.engine import engine_of
from finegrain.features.stored import FeatureBatches, feature_key
from finegrain.frame import Frame
from finegrain.images.batches import BatchStream, PhotoBatches
from finegrain.images.samplers import shuffled
from finegrain.leaderboard.answers import Candidate
from finegrain.leaderboard.partition import Partition
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index
from finegrain.models.backbone_table import BackboneSpec
from finegrain.records import check_type
from finegrain.runs.run_config import RunSettings
from finegrain.stores.row_store import RowStore
from finegrain.stores.store_folder import StoreFolder
from finegrain.training.build import build_model
from finegrain.training.objectives import find_objective
from finegrain.training.objectives.objective import Objective
from finegrain.training.stage import Stage
from finegrain.training.stage_settings import MODERN, StageSettings
from finegrain.training.train_stage import prepare_stage

KNOWN, HELD_OUT, TEST = "known", "held_out", "test"
# The first stored view of an image is the image as it is, the second its mirror image.
BOTH = 2
BATCH = 64


@dataclass(frozen=True)
class Changes:
    """What a candidate has other than `--recipe modern`; fields are flags of that name."""

    unfrozen_epochs: int = 12
    unfrozen_learning_rate: float = 3e-4
    label_smoothing: float = 0.1
    dropout: float = 0.3
    weight_decay: float = 0.02


@dataclass(frozen=True)
class Within:
    """A sampler that deals out some images only, given by index (M,)."""

    indices: np.ndarray

    def __call__(
        self, labels: np.ndarray, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """See `Sampler`."""
        batches = shuffled(self.indices, batch_size, rng)
        return [self.indices[batch] for batch in batches]


def candidate_of(spec: BackboneSpec, changes: Changes) -> Candidate:
    """The candidate that trains a backbone so."""
    told = ", ".join(
        f"{name.removeprefix('unfrozen_').replace('_', ' ')} {value:g}"
        for name, value in asdict(changes).items()
        if value != getattr(Changes(), name)
    )
    name = f"{spec.name}, last blocks, modern recipe{f' with {told}' if told else ''}"
    return Candidate(name, {"kind": "tuned", "backbone": spec.name, **asdict(changes)})


class TunedBackbone:
    """A backbone whose last blocks are trained again and again, from one store.

    The store is filled when it is made: the recipe's views of the known images, those held out and
    the test images as they are and mirrored.

    Raises:
        UserError: an image can no longer be read, or the store has no room for all rows.
    """

    def __init__(
        self,
        partition: Partition,
        spec: BackboneSpec,
        weights: str,
        folder: StoreFolder,
        batch_size: int,
        seed: int,
        openvino: bool,
        workers: int,
    ):
        self.partition, self.spec, self.weights = partition, spec, weights
        self.frame = Frame(spec.image_size, spec.image_size)
        self.batch_size = min(batch_size, len(partition.known))
        self.seed, self.workers = seed, workers
        # Rows are those of the recipe; what a candidate changes does not touch them.
        settings = self.settings(Changes())
        objective, model = self.model(settings)
        backbone = model.get_layer(BACKBONE_LAYER)
        self.boundary = spec.unfreeze_from or str(boundary_index(backbone, None))
        (self.stage,) = settings.stages(self.boundary)
        prepare_stage(model, objective, self.stage, 1)
        self.store, self.computer = self._filled(self.cut(model), folder, openvino)

    def settings(self, changes: Changes) -> StageSettings:
        """The flags of a candidate."""
        chosen: dict[str, Any] = {
            **MODERN,
            **asdict(changes),
            "backbone": self.spec.name,
            "seed": self.seed,
        }
        return StageSettings(data=Path(), run=Path(), recipe="modern", **chosen)

    def model(self, settings: StageSettings) -> tuple[Objective, keras.Model]:
        """What is learnt, and a new model that learns it."""
        keras.utils.set_random_seed(self.seed)
        objective = find_objective("softmax")
        recorded = check_type(settings.recorded(), RunSettings)
        classes = len(self.partition.classes)
        model = build_model(objective, self.spec, self.weights, self.frame.size, classes, recorded)
        return objective, model

    def cut(self, model: keras.Model) -> Cut:
        """The model where its training begins."""
        first = boundary_index(model.get_layer(BACKBONE_LAYER), self.boundary)
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
            seed=self.seed,
            augmentation=self.stage.augmentation,
            plain_views=True,
        )

    def _filled(
        self, cut: Cut, folder: StoreFolder, openvino: bool
    ) -> tuple[RowStore, FeatureComputer]:
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
                f"the activations of {self.spec.name} do not fit: {folder.reason}; give more "
                "--cache-gb to have it trained too"
            )
        computer = FeatureComputer(
            engine_of(cut.below, openvino, sum(rows.values()), bfloat16=False), cut.kinds
        )
        try:
            stopped = fill(store, photos, computer, self.workers)
        except FeatureOverflow as error:
            store.close()
            raise UserError(f"{self.spec.name} cannot be stored: {error}") from error
        if stopped:
            store.close()
            raise UserError(f"the activations of {self.spec.name} were not stored: {stopped}")
        return store, computer

    def close(self) -> None:
        """Close the store."""
        self.store.close()


class Training:
    """One model, trained from its start on some known images after others, compiled once.

    Args:
        images: how many it learns at a time, at most.
        soft: (N, C) shares of the classes to learn in place of the known images' labels.
    """

    def __init__(
        self,
        backbone: TunedBackbone,
        changes: Changes,
        images: int,
        soft: np.ndarray | None = None,
    ):
        self._backbone = backbone
        settings = backbone.settings(changes)
        (stage,) = settings.stages(backbone.boundary)
        self.stage: Stage = stage
        self.objective, self.model = backbone.model(settings)
        prepare_stage(self.model, self.objective, stage, math.ceil(images / backbone.batch_size))
        self._above = backbone.cut(self.model).above
        arguments = self.objective.compile_arguments(stage)
        self._above.compile(optimizer=self.model.optimizer, jit_compile=False, **arguments)
        self._variables = [*self._above.variables, *self.model.optimizer.variables]
        self._start = [np.array(keras.ops.convert_to_numpy(each)) for each in self._variables]
        self._photos = replace(
            backbone.photos(backbone.partition.known, backbone.partition.labels), soft=soft
        )

    def learn(self, rows: np.ndarray, fold: int, on_epoch: Callable[[], None]) -> None:
        """Train anew on known images, given by index; `on_epoch` may end it by raising."""
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)
        backbone = self._backbone
        photos = replace(self._photos, sampler=Within(rows), seed=backbone.seed + fold)
        batches = FeatureBatches(
            photos, backbone.store, KNOWN, self.stage.fixed_views, backbone.computer
        )
        with closing(BatchStream(batches, 0, backbone.workers)) as stream:
            self._above.fit(
                (batch for batch in stream),
                steps_per_epoch=batches.steps(),
                epochs=self.stage.epochs,
                shuffle=False,
                verbose=0,
                callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: on_epoch())],
            )

    def answer(self, split: str, images: np.ndarray) -> np.ndarray:
        """(M, C) probabilities of images of a split of the store, the mean of both views."""
        store = self._backbone.store
        total = store.splits[split] // self._views(split)
        found = np.zeros((len(images), len(self._backbone.partition.classes)))
        for start in range(0, len(images), BATCH):
            block = images[start : start + BATCH]
            for view in range(BOTH):
                rows = view * total + block
                kinds = self._backbone.computer.kinds
                features = {kind: store.read(kind, split, rows) for kind in kinds}
                logits = np.asarray(self._above.predict_on_batch(features), np.float64)
                found[start : start + BATCH] += softmax(logits, axis=1) / BOTH
        return found

    def _views(self, split: str) -> int:
        return self.stage.fixed_views if split == KNOWN else BOTH

    def finished(self) -> keras.Model:
        """The whole model with the weights of the last training, as it is used."""
        return self.objective.finished(self.model)


@dataclass(eq=False)
class FoldAnswers:
    """What the models of the first folds answer.

    Attributes:
        out_of_fold: (N, C), zeros for folds to come.
        held_out, test: (E, C) and (T, C), sums over the folds.
        folds: how many there are.
    """

    out_of_fold: np.ndarray
    held_out: np.ndarray
    test: np.ndarray
    folds: int = 0


def answers_by_fold(
    backbone: TunedBackbone, changes: Changes, on_epoch: Callable[[], None]
) -> Iterator[FoldAnswers]:
    """Train a candidate fold by fold; after each, what is known so far, the same object again."""
    partition = backbone.partition
    classes = len(partition.classes)
    counts = len(partition.known), len(partition.held_out), len(partition.test)
    known, held_out, test = (np.zeros((count, classes)) for count in counts)
    found = FoldAnswers(known, held_out, test)
    smallest = int(np.bincount(partition.folds).min())
    training = Training(backbone, changes, counts[0] - smallest)
    everything = [np.arange(count) for count in counts]
    for fold in range(partition.fold_count):
        out = np.flatnonzero(partition.folds == fold)
        training.learn(np.flatnonzero(partition.folds != fold), fold, on_epoch)
        found.out_of_fold[out] = training.answer(KNOWN, out)
        found.held_out += training.answer(HELD_OUT, everything[1])
        found.test += training.answer(TEST, everything[2])
        found.folds += 1
        yield found
