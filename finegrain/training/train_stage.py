"""Train one stage, from wherever it stands to its end."""

import sys
import zlib
from dataclasses import dataclass

import keras
import numpy as np

from finegrain.datasets.manifest import DataSet
from finegrain.errors import UserError
from finegrain.images.photo_batches import PhotoBatches
from finegrain.images.photo_stream import PhotoStream
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index, freeze
from finegrain.training.epoch_keeper import EpochKeeper, monitored
from finegrain.training.pair_generator import PairGenerator
from finegrain.training.plateau import judge
from finegrain.training.stage import Stage, compile_for_stage, is_multi_loss
from finegrain.training.stage_folder import StageFolder
from finegrain.training.validation_batches import ValidationBatches

# Validation pairs are drawn apart from those of the training.
VALIDATION_SEED = 1_000_003


@dataclass(frozen=True)
class Feed:
    """How photographs reach the model.

    Attributes:
        data: the data set.
        image_size: (height, width) in pixels.
        batch_size: images a batch.
        seed: of order, augmentation, pairs and dropout.
        images_per_class: K of class-balanced batches, 0 for plain ones.
        workers: threads that read photographs.
    """

    data: DataSet
    image_size: tuple[int, int]
    batch_size: int
    seed: int = 0
    images_per_class: int = 0
    workers: int = 2

    def stage_seed(self, stage: Stage) -> int:
        """A seed of its own for each stage, lest one repeats the order of the one before."""
        parts = [self.seed, zlib.crc32(stage.name.encode())]
        return int(np.random.SeedSequence(parts).generate_state(1)[0])

    def training(self, stage: Stage) -> PhotoBatches:
        """The batches a stage trains on."""
        return PhotoBatches(
            self.data.paths("train"),
            self.data.labels("train"),
            len(self.data.classes),
            self.image_size,
            self.batch_size,
            seed=self.stage_seed(stage),
            augmentation=stage.augmentation,
            images_per_class=self.images_per_class,
        )

    def validation(self) -> PhotoBatches:
        """The batches that judge an epoch: always the same, classes mixed, no augmentation."""
        paths, labels = self.data.paths("valid"), self.data.labels("valid")
        mixed = np.random.default_rng(VALIDATION_SEED).permutation(len(paths))
        return PhotoBatches(
            [paths[index] for index in mixed],
            labels[mixed],
            len(self.data.classes),
            self.image_size,
            self.batch_size,
            shuffle=False,
        )


def check_feed(feed: Feed) -> None:
    """Refuse settings that cannot make a batch.

    Raises:
        UserError: the batch size is below 1 or above the number of training images, there is
            no validation image, or K does not fit the batch.
    """
    count = len(feed.data.paths("train"))
    if not 1 <= feed.batch_size <= count:
        raise UserError(
            f"--batch-size {feed.batch_size} does not fit {count} training images; "
            f"give a number from 1 to {count}"
        )
    if "valid" not in feed.data.splits:
        raise UserError(
            f"{feed.data.folder} has no validation images; make it again with "
            "img2keras.py --valid-fraction 0.1"
        )
    if feed.images_per_class and not 2 <= feed.images_per_class <= feed.batch_size:
        raise UserError(
            f"--images-per-class {feed.images_per_class} does not fit --batch-size "
            f"{feed.batch_size}; give 0 for plain batches, or a number from 2 to the batch size"
        )


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
    seed, pairs = feed.stage_seed(stage), is_multi_loss(model)
    training = feed.training(stage)
    done = folder.epochs * training.steps()
    stream = PhotoStream(training, done, feed.workers)
    batches = PairGenerator(stream, stage.positive_rate, seed, done) if pairs else stream
    validation = ValidationBatches(feed.validation(), stage.positive_rate if pairs else None)
    try:
        model.fit(
            # A plain generator: Keras takes no other iterator.
            (batch for batch in batches),
            steps_per_epoch=training.steps(),
            initial_epoch=folder.epochs,
            epochs=stage.epochs,
            shuffle=False,
            validation_data=validation,
            callbacks=[EpochKeeper(stage, folder, seed)],
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
