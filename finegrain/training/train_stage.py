"""Train one stage, from wherever it stands to its end."""

import sys

import keras

from finegrain.images.photo_stream import PhotoStream
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index, freeze
from finegrain.training.epoch_keeper import EpochKeeper, monitored
from finegrain.training.feed import Feed
from finegrain.training.pair_generator import PairGenerator
from finegrain.training.plateau import judge
from finegrain.training.route import choose_route
from finegrain.training.stage import Stage, compile_for_stage, is_multi_loss
from finegrain.training.stage_folder import StageFolder
from finegrain.training.validation_batches import ValidationBatches

def prepare_stage(model: keras.Model, stage: Stage) -> None:
    """Freeze and compile the model as the stage wants it.

    Raises:
        UserError: the stage names a layer or a setting that does not exist.
    """
    backbone = model.get_layer(BACKBONE_LAYER)
    first = None
    if stage.unfreeze_from is not None:
        first = boundary_index(backbone, stage.unfreeze_from)
    freeze(backbone, first, stage.train_batch_norm)
    compile_for_stage(model, stage)


def train_stage(model: keras.Model, stage: Stage, feed: Feed, folder: StageFolder) -> None:
    """Train until the stage ends; the model is left with the stage's best weights.

    Goes on after the last finished epoch in the folder. A finished stage is only loaded.

    Args:
        model: softmax or multi-loss model, holding the weights that the stage starts from.
        stage: its settings.
        feed: the photographs.
        folder: where its epochs are kept.

    Raises:
        UserError: an image can no longer be read, the loss is no number, the disk is full.
    """
    prepare_stage(model, stage)
    if folder.finished:
        print(f"stage {stage.name}: finished before, after {folder.epochs} epochs")
    elif stage.epochs > 0:
        if folder.epochs:
            print(f"stage {stage.name}: going on after epoch {folder.epochs}")
            folder.load_last(model)
        else:
            print(f"stage {stage.name}")
        if folder.epochs < stage.epochs and not _has_stopped(stage, folder):
            _fit(model, stage, feed, folder)
        folder.finish()
    if folder.best:
        folder.load_best(model)


def _has_stopped(stage: Stage, folder: StageFolder) -> bool:
    losses = [monitored(row) for row in folder.history]
    return judge(losses, stage.reduce_patience, stage.stop_patience).stop


def _fit(model: keras.Model, stage: Stage, feed: Feed, folder: StageFolder) -> None:
    route = choose_route(model, stage, feed)
    folder.preparation += route.seconds
    seed, pairs = feed.stage_seed(stage), is_multi_loss(model)
    steps = route.training.steps()
    done = folder.epochs * steps
    stream = PhotoStream(route.training, done, feed.workers)
    batches = PairGenerator(stream, stage.positive_rate, seed, done) if pairs else stream
    validation = ValidationBatches(route.validation, stage.positive_rate if pairs else None)
    try:
        route.model.fit(
            # A plain generator: Keras takes no other iterator.
            (batch for batch in batches),
            steps_per_epoch=steps,
            initial_epoch=folder.epochs,
            epochs=stage.epochs,
            shuffle=False,
            validation_data=validation,
            callbacks=[EpochKeeper(stage, folder, seed, model)],
            # A bar that redraws itself is for eyes; a log gets the keeper's line an epoch.
            verbose=1 if sys.stdout.isatty() else 0,
        )
    except Exception as error:
        for source in (stream, validation):
            if source.error is not None:
                raise source.error from error
        raise
    finally:
        stream.close()
