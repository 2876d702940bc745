"""Train one stage, from wherever it stands to its end."""

import sys
from collections.abc import Iterator
from typing import Any

import keras

from finegrain.images.batches import BatchStream
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index, freeze
from finegrain.runs.plateau import judge
from finegrain.runs.stage_folder import StageFolder
from finegrain.training.accumulated_optimizer import model_in_parts
from finegrain.training.batch_parts import ValidationParts, training_parts
from finegrain.training.epoch_keeper import EpochKeeper, monitored
from finegrain.training.feed import Feed
from finegrain.training.pair_generator import PairGenerator
from finegrain.training.route import Route, choose_route
from finegrain.training.smaller_batches import fit_in_memory, keep_state, put_state
from finegrain.training.stage import Stage, compile_arguments, compile_for_stage, is_multi_loss
from finegrain.training.validation_batches import ValidationBatches


def prepare_stage(model: keras.Model, stage: Stage, jit_compile: bool | str = False) -> None:
    """Freeze and compile the model as the stage wants it.

    Raises:
        UserError: the stage names a layer or a setting that does not exist.
    """
    backbone = model.get_layer(BACKBONE_LAYER)
    first = None
    if stage.unfreeze_from is not None:
        first = boundary_index(backbone, stage.unfreeze_from)
    freeze(backbone, first, stage.train_batch_norm)
    compile_for_stage(model, stage, jit_compile)


def train_stage(
    model: keras.Model,
    stage: Stage,
    feed: Feed,
    folder: StageFolder,
    jit_compile: bool | str = False,
) -> None:
    """Train until the stage ends; the model is left with the stage's best weights.

    Goes on after the last finished epoch in the folder. A finished stage is only loaded.

    Args:
        model: softmax or multi-loss model, holding the weights that the stage starts from.
        stage: what to train.
        feed: the photographs.
        folder: where its epochs are kept.
        jit_compile: as for `Model.compile`.

    Raises:
        UserError: an image can no longer be read, the loss is no number, the disk is full, the
            GPU has no memory for a single image.
    """
    prepare_stage(model, stage, jit_compile)
    if folder.finished:
        print(f"stage {stage.name}: finished before, after {folder.epochs} epochs")
    elif stage.epochs > 0:
        if folder.epochs:
            print(f"stage {stage.name}: going on after epoch {folder.epochs}")
            folder.load_last(model)
        else:
            print(f"stage {stage.name}")
        if folder.epochs < stage.epochs and not _has_stopped(stage, folder):
            _train_on(model, stage, feed, folder, jit_compile)
        folder.finish()
    if folder.best:
        folder.load_best(model)


def _has_stopped(stage: Stage, folder: StageFolder) -> bool:
    losses = [monitored(row) for row in folder.history]
    return judge(losses, stage.reduce_patience, stage.stop_patience).stop


def _train_on(
    model: keras.Model, stage: Stage, feed: Feed, folder: StageFolder, jit_compile: bool | str
) -> None:
    """Train what is left of a stage, in smaller parts where the GPU's memory asks for it."""
    route = choose_route(model, stage, feed)
    folder.preparation += route.seconds
    start = keep_state(model)

    def restore() -> None:
        put_state(model, start)
        compile_for_stage(model, stage, jit_compile)
        if folder.epochs:
            folder.load_last(model)

    def fit(parts: int) -> None:
        arguments = compile_arguments(model, stage, jit_compile)
        if route.model is not model:
            # One optimizer, so that a checkpoint is the same whichever way the stage goes.
            route.model.compile(optimizer=model.optimizer, **arguments)
        learner = model_in_parts(route.model, parts, arguments)
        _fit(learner, parts, route, EpochKeeper(stage, folder, feed.stage_seed(stage), model), feed)

    pairs = is_multi_loss(model)
    most_parts = max(1, feed.batch_size // 2) if pairs else feed.batch_size
    try:
        fit_in_memory(fit, restore, feed.batch_size, most_parts)
    finally:
        for store in route.stores:
            store.close()


def _fit(learner: keras.Model, parts: int, route: Route, keeper: EpochKeeper, feed: Feed) -> None:
    stage, seed, pairs = keeper.stage, keeper.seed, is_multi_loss(keeper.whole)
    steps = route.training.steps()
    done = keeper.folder.epochs * steps
    stream = BatchStream(route.training, done, feed.workers)
    batches: Iterator[tuple[Any, ...]]
    batches = PairGenerator(stream, stage.positive_rate, seed, done) if pairs else stream
    photos = ValidationBatches(route.validation, stage.positive_rate if pairs else None)
    validation: keras.utils.PyDataset = photos
    if parts > 1:
        batches = training_parts(batches, parts, seed, done)
        validation = ValidationParts(photos, parts)
    try:
        learner.fit(
            # As a plain generator, which Keras takes from wherever it stands without an end.
            (batch for batch in batches),
            steps_per_epoch=steps * parts,
            initial_epoch=keeper.folder.epochs,
            epochs=stage.epochs,
            shuffle=False,
            validation_data=validation,
            callbacks=[keeper],
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
