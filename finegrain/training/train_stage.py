"""Train one stage, from wherever it stands to its end."""

import gc
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from finegrain.images.batches import BatchStream
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index, freeze
from finegrain.models.several_devices import spread
from finegrain.runs.stage_folder import StageFolder
from finegrain.training.batches import ValidationBatches, ValidationParts, training_parts
from finegrain.training.epoch_keeper import EpochKeeper
from finegrain.training.feed import Feed
from finegrain.training.interpolation import chosen_place, places, set_between
from finegrain.training.long_tail import (
    BALANCED_SOFTMAX,
    WEIGHTS,
    class_weights,
    weighted_classes,
    with_class_prior,
)
from finegrain.training.objectives.objective import Objective
from finegrain.training.optimizers.accumulated import model_in_parts
from finegrain.training.optimizers.averaged import swap_averages
from finegrain.training.optimizers.stage_optimizer import stage_optimizer
from finegrain.training.route import Route, choose_route
from finegrain.training.schedule import stage_verdict
from finegrain.training.smaller_batches import fit_in_memory, keep_state, put_state
from finegrain.training.stage import Stage


def prepare_stage(
    model: keras.Model,
    objective: Objective,
    stage: Stage,
    steps: int,
    jit_compile: bool | str = False,
) -> None:
    """Freeze the model, and give it optimizer and losses, as the stage wants them.

    Args:
        model: the objective's training model.
        steps: batches an epoch.

    Raises:
        UserError: the stage names a layer or a setting that does not exist.
    """
    freeze_for_stage(model, stage)
    losses = objective.compile_arguments(stage)
    optimizer = stage_optimizer(model, stage, steps)
    model.compile(optimizer=optimizer, jit_compile=jit_compile, **losses)
    # Not `optimizer`: under float16 the model wraps it into one that scales the loss.
    model.optimizer.build(model.trainable_variables)


def freeze_for_stage(model: keras.Model, stage: Stage) -> None:
    """Let learn what the stage trains, and nothing else.

    Raises:
        UserError: the stage names a layer that does not exist.
    """
    backbone, first = model.get_layer(BACKBONE_LAYER), None
    if stage.unfreeze_from is not None:
        first = boundary_index(backbone, stage.unfreeze_from)
    freeze(backbone, first, stage.train_batch_norm)


def train_stage(
    model: keras.Model,
    objective: Objective,
    stage: Stage,
    feed: Feed,
    folder: StageFolder,
    jit_compile: bool | str = False,
) -> None:
    """Train until the stage ends; the model is left with the stage's best weights, or averages.

    Goes on after the last finished epoch in the folder. A finished stage is only loaded.

    Args:
        model: the objective's training model, holding the weights that the stage starts from.
        folder: where the stage's epochs are kept.
        jit_compile: as for `Model.compile`.

    Raises:
        UserError: an image can no longer be read, the loss is no number, the disk is full, the
            GPU has no memory for a single image.
    """
    training = _Training(model, objective, stage, feed, folder, jit_compile)
    training.prepare()
    if folder.finished:
        print(f"stage {stage.name}: finished before, after {folder.epochs} epochs")
    elif stage.epochs > 0:
        if folder.epochs:
            print(f"stage {stage.name}: going on after epoch {folder.epochs}")
            training.load_last()
        else:
            print(f"stage {stage.name}")
        if stage.interpolate and not folder.epochs:
            folder.save_start(model)
        if stage.interpolate or not training.is_over():
            training.run()
        if not folder.finished:
            folder.finish()
    if folder.best:
        folder.load_best(model)


@dataclass(frozen=True)
class _Training:
    model: keras.Model
    objective: Objective
    stage: Stage
    feed: Feed
    folder: StageFolder
    jit_compile: bool | str

    @property
    def compile_arguments(self) -> dict[str, Any]:
        """What `compile` takes beside the optimizer, for the model or one cut from it."""
        return {
            **self.objective.compile_arguments(self.stage),
            "jit_compile": self.jit_compile,
        }

    def prepare(self) -> None:
        steps = self.feed.training(self.stage).steps()
        prepare_stage(self.model, self.objective, self.stage, steps, self.jit_compile)

    def load_last(self) -> None:
        """Model and optimizer as the last finished epoch left them."""
        self.folder.load_last(self.model)
        swap_averages(self.model)

    def is_over(self) -> bool:
        """Whether no epoch is left to train."""
        watched = self.objective.watched(self.folder.history, self.stage)
        return self.folder.epochs >= self.stage.epochs or stage_verdict(self.stage, watched).stop

    def run(self) -> None:
        """Train what is left, in smaller parts where the GPU's memory asks for it."""
        route = choose_route(self.model, self.stage, self.feed)
        self.folder.preparation += route.seconds
        start = keep_state(self.model)

        def restore() -> None:
            put_state(self.model, start)
            self.prepare()
            if self.folder.epochs:
                self.load_last()

        most_parts = max(1, self.feed.batch_size // self.objective.smallest_part)
        try:
            if not self.is_over():
                fit_in_memory(
                    lambda parts: self._fit(route, parts), restore, self.feed.batch_size, most_parts
                )
            if self.stage.interpolate:
                self._interpolate(route)
        finally:
            for store in route.stores:
                store.close()
            # What was compiled holds on to itself, and with it to another optimizer's moments.
            gc.collect()

    def _interpolate(self, route: Route) -> None:
        """Keep what suits the validation images on the way from the start to the best epoch."""
        weights = []
        for load in (self.folder.load_start, self.folder.load_best):
            load(self.model)
            weights.append(self.model.get_weights())
        batches = ValidationBatches(route.validation, self.objective, self.stage)
        found = places(self.model, route.model, batches, *weights)
        kept = chosen_place(found)
        print(
            f"  between   {kept.share:.0%} of the way from the stage's first weights to its best "
            f"epoch is kept: log loss of the validation images {kept.log_loss:.4f}, at the end "
            f"{found[-1].log_loss:.4f}",
            flush=True,
        )
        if kept is not found[-1]:
            start, end = weights
            set_between(self.model, start, end, kept.share)
            self.folder.save_share(self.model, kept.share)

    def _fit(self, route: Route, parts: int) -> None:
        model, counts = spread(route.model), self.feed.class_counts()
        if self.stage.long_tail == BALANCED_SOFTMAX:
            model = with_class_prior(model, counts)
        if model is not self.model:
            # One optimizer, so that a checkpoint is the same whichever way the stage goes.
            model.compile(optimizer=self.model.optimizer, **self.compile_arguments)
        learner = model_in_parts(model, parts, self.compile_arguments)
        stage, objective, seed = self.stage, self.objective, self.feed.stage_seed(self.stage)
        steps = route.training.steps()
        done = self.folder.epochs * steps
        stream = BatchStream(route.training, done, self.feed.workers)
        batches: Iterator[tuple[Any, ...]] = (
            objective.batch(images, targets, stage, seed, number)
            for number, (images, targets) in enumerate(stream, done)
        )
        photos = ValidationBatches(route.validation, objective, stage)
        validation: keras.utils.PyDataset = photos
        if parts > 1:
            batches = training_parts(batches, objective.split, parts, seed, done)
            validation = ValidationParts(photos, objective.split, parts)
        if stage.long_tail == WEIGHTS:
            batches = weighted_classes(batches, class_weights(counts))
        try:
            learner.fit(
                # A plain generator, which Keras takes from wherever it stands without an end.
                batches,
                steps_per_epoch=steps * parts,
                initial_epoch=self.folder.epochs,
                epochs=stage.epochs,
                shuffle=False,
                validation_data=validation,
                callbacks=[EpochKeeper(stage, objective, self.folder, seed, self.model)],
                # A bar that redraws itself is for eyes; a log gets the keeper's line an epoch.
                verbose=1 if sys.stdout.isatty() else 0,
            )
        except Exception as error:
            for source in (stream, photos):
                if source.error is not None:
                    raise source.error from error
            raise
        finally:
            stream.close()
