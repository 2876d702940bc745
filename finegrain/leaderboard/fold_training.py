"""Training a candidate fold by fold, from the store of its variant."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import keras
import numpy as np
from scipy.special import softmax

from finegrain.features.stored import FeatureBatches
from finegrain.images.batches import BatchStream
from finegrain.images.samplers import ClassBalanced, Sampler, shuffled
from finegrain.leaderboard.changes import Changes
from finegrain.leaderboard.tuned import BOTH, HELD_OUT, IMAGES_PER_CLASS, KNOWN, TEST, TunedBackbone
from finegrain.models.heads import CATEGORY
from finegrain.training.stage import Stage
from finegrain.training.train_stage import prepare_stage

# What pairs count beside the classes, where they are learnt too.
PAIRS_WEIGHT = 0.3
BATCH = 64


@dataclass(frozen=True)
class Within:
    """A sampler that deals out some images only, given by index (M,), as another one does."""

    indices: np.ndarray
    sampler: Sampler

    def __call__(
        self, labels: np.ndarray, batch_size: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """See `Sampler`."""
        batches = self.sampler(labels[self.indices], batch_size, rng)
        return [self.indices[batch] for batch in batches]


class Training:
    """One model, trained from its start on some known images after others, compiled once.

    Args:
        most: the images that it learns at a time, given by index, where these are most.
        soft: (N, C) shares of the classes to learn in place of the known images' labels.
    """

    def __init__(
        self,
        backbone: TunedBackbone,
        changes: Changes,
        most: np.ndarray,
        soft: np.ndarray | None = None,
    ):
        self._backbone = backbone
        settings = backbone.settings(changes)
        (stage,) = settings.stages(backbone.boundary)
        self.objective, self.model = backbone.model(changes)
        pairs = self.objective.learns_pairs
        self._sampler = ClassBalanced(IMAGES_PER_CLASS) if pairs else shuffled
        self.stage: Stage = replace(stage, same_class_weight=PAIRS_WEIGHT)
        self._photos = replace(
            backbone.photos(backbone.partition.known, backbone.partition.labels),
            sampler=Within(most, self._sampler),
            soft=soft,
        )
        prepare_stage(self.model, self.objective, self.stage, self._photos.steps())
        self._above = backbone.cut(self.model).above
        arguments = self.objective.compile_arguments(self.stage)
        self._above.compile(optimizer=self.model.optimizer, jit_compile=False, **arguments)
        self._variables = [*self._above.variables, *self.model.optimizer.variables]
        self._start = [np.array(keras.ops.convert_to_numpy(each)) for each in self._variables]

    def learn(self, rows: np.ndarray, fold: int, on_epoch: Callable[[], None]) -> None:
        """Train anew on known images, given by index; `on_epoch` may end it by raising."""
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)
        backbone = self._backbone
        seed = backbone.means.seed + fold
        photos = replace(self._photos, sampler=Within(rows, self._sampler), seed=seed)
        batches = FeatureBatches(
            photos, backbone.store, KNOWN, self.stage.fixed_views, backbone.computer
        )
        with closing(BatchStream(batches, 0, backbone.means.workers)) as stream:
            self._above.fit(
                (
                    self.objective.batch(features, targets, self.stage, seed, number)
                    for number, (features, targets) in enumerate(stream)
                ),
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
                answers = self._above.predict_on_batch(features)
                logits = answers[CATEGORY] if isinstance(answers, dict) else answers
                shares = softmax(np.asarray(logits, np.float64), axis=1)
                found[start : start + BATCH] += shares / BOTH
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
    smallest = int(np.bincount(partition.folds).argmin())
    training = Training(backbone, changes, np.flatnonzero(partition.folds != smallest))
    everything = [np.arange(count) for count in counts]
    for fold in range(partition.fold_count):
        out = np.flatnonzero(partition.folds == fold)
        training.learn(np.flatnonzero(partition.folds != fold), fold, on_epoch)
        found.out_of_fold[out] = training.answer(KNOWN, out)
        found.held_out += training.answer(HELD_OUT, everything[1])
        found.test += training.answer(TEST, everything[2])
        found.folds += 1
        yield found
