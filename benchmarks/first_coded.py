"""The multi-loss recipe as first coded: what `recipe_speed.py` holds the project's scripts against.

    python benchmarks/first_coded.py --data data/dogs --output runs/first --backbone xception

Plain Keras, written from the description of the original, with nothing of this project's training:
two towers that share their weights are fed two batches of images, so that in an epoch every image
passes the backbone twice; `ImageDataGenerator.flow_from_directory` decodes and warps in one Python
thread, anew every epoch; no stores, float32. One batch in four pairs images of one class by
swapping inside the batch; otherwise the second tower gets the batch that follows. Stage 1 trains
the heads with rotation 45, shear 0.2, zoom 0.2 and mirror images; stages 2 (SGD 1e-4) and 3 (SGD
1e-5) train from layer 105 without augmentation. Every epoch is validated over both towers.

So that nothing but speed differs from our scripts, four things are as there and not as in the
original: pixels are scaled as the backbone expects and not by 1/255, stage 1 has Adam and loss
weights 1 and 0.5 and not nadam and a verification weight of 0, BatchNormalization stays frozen,
and the pair head starts at zero. Where the description leaves a choice, the cheaper one is taken:
the validation pairs of a batch come from inside it, batches of unequal length are cut to the
shorter, and XLA, slower on CPUs, is off.

Writes `classifier.keras`, which `first_coded_predict.py` predicts with, and `measured.json`:
seconds of each epoch and stage, images a second, validation errors, peak memory.
"""

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from side_by_side.backbones import BOUNDARIES, check_weights, family

from finegrain.command import run_command
from finegrain.errors import UserError
from finegrain.flags import BatchSize, ImageSize, Seed, StageEpochs
from finegrain.quiet import load_keras
from finegrain.whole_files import written_whole

STAGES = ("1-frozen", "2-unfrozen", "3-retrained")
AUGMENTATION = dict(rotation_range=45, shear_range=0.2, zoom_range=0.2, horizontal_flip=True)


@dataclass
class Settings:
    """Train the recipe as it was first coded, and measure it."""

    # data set folder made by img2keras.py
    data: Path
    # folder for measured.json and the model
    output: Path
    # xception, mobilenet_v2 or mobilenet_v2_0.35
    backbone: str = "xception"
    # imagenet, none or a .weights.h5 file
    weights: str = "imagenet"
    # side of the square the images are resized to, in pixels
    image_size: ImageSize = 299
    # images a batch, for each tower
    batch_size: BatchSize = 32
    # epochs of the three stages; 0 leaves one out
    epochs: tuple[StageEpochs, StageEpochs, StageEpochs] = (10, 5, 5)
    # run no more than so many of each, two or more, since each does the same work; 0 runs all
    timed_epochs: StageEpochs = 0
    # of stage 1
    augmentation: bool = True
    # first layer that stages 2 and 3 train, a name or an index; by default the recipe's
    unfreeze_from: str | None = None
    # of order, augmentation, dropout and heads
    seed: Seed = 0


def main(settings: Settings) -> None:
    check(settings)
    load_keras()
    import keras
    from side_by_side.two_towers import build_backbone, prepare, two_towers

    from finegrain.device import find_device

    keras.utils.set_random_seed(settings.seed)
    boundary = settings.unfreeze_from or BOUNDARIES[family(settings.backbone)[0]]
    backbone = build_backbone(settings.backbone, settings.weights, settings.image_size)
    valid = flow_of(settings, "valid")
    model, classifier = two_towers(backbone, valid.num_classes)
    settings.output.mkdir(parents=True, exist_ok=True)

    stages, images = {}, {"valid": valid.samples}
    for name, epochs in zip(STAGES, settings.epochs, strict=True):
        if not epochs:
            continue
        is_first = name == STAGES[0]
        augmentation = AUGMENTATION if is_first and settings.augmentation else {}
        train = flow_of(settings, "train", augmentation)
        images["train"] = train.samples
        prepare(model, backbone, None if is_first else boundary, optimizer_of(name))
        print(f"{name}: {epochs} epochs of {len(train)} steps", flush=True)
        numbers = train_stage(model, train, valid, epochs, settings)
        error = top1_error(classifier, settings)
        stages[name] = {"epochs": epochs, **numbers, "valid_error": error}
        print(f"{name}: {numbers['seconds']:.1f} s, validation error {error:.4f}", flush=True)

    classifier.save(settings.output / "classifier.keras")
    # The largest the process ever was; Linux counts in kilobytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    measured = {
        "device": str(find_device()),
        "images": images,
        "stages": stages,
        "peak_bytes": peak,
    }
    with written_whole(settings.output / "measured.json") as file:
        file.write_text(json.dumps(measured, indent=1), encoding="utf-8")


def check(settings: Settings) -> None:
    """Refuse what cannot be, before seconds go by importing Keras."""
    if not (settings.data / "classes.json").is_file():
        raise UserError(f"{settings.data} is no data set folder; make one with img2keras.py")
    family(settings.backbone)
    check_weights(settings.weights)
    if settings.timed_epochs == 1:
        raise UserError("--timed-epochs must be 0 or at least 2: the first also builds the graph")


def optimizer_of(stage: str):
    """Adam for the heads, then SGD with momentum."""
    import keras

    if stage == STAGES[0]:
        return keras.optimizers.Adam(1e-3)
    return keras.optimizers.SGD(1e-4 if stage == STAGES[1] else 1e-5, momentum=0.9)


def flow_of(settings: Settings, split: str, augmentation: dict | None = None, shuffle=True):
    """A split's images as `ImageDataGenerator` gives them."""
    # `tensorflow.keras.preprocessing.image` under a name that loads on every backend.
    from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator
    from side_by_side.two_towers import preprocessing

    generator = ImageDataGenerator(
        preprocessing_function=preprocessing(settings.backbone), **augmentation or {}
    )
    return generator.flow_from_directory(
        settings.data / split,
        target_size=(settings.image_size, settings.image_size),
        classes=json.loads((settings.data / "classes.json").read_text(encoding="utf-8")),
        batch_size=settings.batch_size,
        shuffle=shuffle,
        seed=settings.seed,
        interpolation="bilinear",
    )


def train_stage(model, train, valid, epochs: int, settings: Settings) -> dict:
    """Train a stage and go back to its best epoch.

    Returns:
        `epoch_seconds` of the epochs that were run, `seconds` of the stage with all its epochs,
        `images_per_second`, training images an epoch over its seconds.
    """
    import keras
    from side_by_side.image_pairs import ValidationPairs, training_pairs

    best = settings.output / "best.weights.h5"
    seconds: list[float] = []
    timer = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seconds.append(-time.monotonic()),
        on_epoch_end=lambda epoch, logs: seconds.append(seconds.pop() + time.monotonic()),
    )
    keep_best = keras.callbacks.ModelCheckpoint(
        best, "val_category_1_loss", save_best_only=True, save_weights_only=True, mode="min"
    )
    started = time.monotonic()
    model.fit(
        training_pairs(train),
        steps_per_epoch=len(train),
        epochs=min(epochs, settings.timed_epochs or epochs),
        validation_data=ValidationPairs(valid),
        callbacks=[keep_best, timer],
        shuffle=False,
        verbose=2,
    )
    whole = whole_stage(time.monotonic() - started, seconds, epochs)
    model.load_weights(best)
    return {
        "epoch_seconds": [round(value, 3) for value in seconds],
        "seconds": round(whole, 3),
        "images_per_second": round(train.samples * epochs / whole, 3),
    }


def whole_stage(wall: float, epoch_seconds: list[float], epochs: int) -> float:
    """Seconds a stage takes with all its epochs, told from those that were run.

    The first also builds the graph, so the missing ones are taken to be as the others.
    """
    usual = epoch_seconds[1:] or epoch_seconds
    return wall + (epochs - len(epoch_seconds)) * sum(usual) / len(usual)


def top1_error(classifier, settings: Settings) -> float:
    """Share of the validation images that the classifier names wrongly."""
    flow = flow_of(settings, "valid", shuffle=False)
    answers = classifier.predict(flow, verbose=0).argmax(axis=1)
    return float((answers != flow.classes).mean())


if __name__ == "__main__":
    run_command(main, Settings)
