"""Pretrain the small Xception that ships with the project.

    python tools/pretrain_small.py

The demo may not download a backbone, so the project carries one: Xception at a quarter of its
width. This script made it. It draws look-alike breeds that the demo does not use (see
finegrain/drawn/collection.py), and trains the network to name the breed and, one softmax each, the
six parts that make it: a network that must find ear and tail keeps features that serve breeds
it has never seen. It ends with two scores: breed accuracy on held-out pictures, and, as what
matters, logistic regression on frozen embeddings of the demo's breeds beside the same on an
untrained backbone.

Stop it at any time: the same command goes on from the last finished epoch.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Interval

from finegrain.command import run_command
from finegrain.drawn.breed import PARTS, demo_breeds, pretraining_breeds
from finegrain.drawn.collection import draw_arrays, part_targets
from finegrain.evaluation.embedding_measures import linear_probe
from finegrain.flags import BatchSize, Count, Epochs, ImageSize, LearningRate, Share
from finegrain.memory import size_in_words
from finegrain.quiet import load_keras
from finegrain.whole_files import written_whole


@dataclass
class Settings:
    """Pretrain the small Xception on drawn breeds."""

    output: Path = Path("finegrain/models/weights/xception_small.weights.h5")  # the result
    photos: Path = Path("photos/pretraining")  # where the pictures are drawn
    run: Path = Path("runs/pretrain-small")  # the checkpoint, for going on after a stop
    breeds: Count = 96  # classes, none of them in the demo
    per_class: Count = 90  # pictures of each breed
    # every so many-th picture of a breed is held out
    valid_every: Annotated[int, Interval(ge=2, le=1_000_000)] = 15
    width: Annotated[float, Interval(gt=0, le=4)] = 0.25  # channels relative to Xception's
    image_size: ImageSize = 128  # side in pixels
    epochs: Epochs = 12  # passes over the pictures
    batch_size: BatchSize = 64  # pictures per step
    learning_rate: LearningRate = 2e-3  # peak of AdamW's cosine schedule
    weight_decay: Annotated[float, Interval(ge=0, le=10)] = 1e-3  # of AdamW
    label_smoothing: Share = 0.1  # of the breed softmax
    # augmentation: pixels by which a picture is moved at most; also flipped
    shift: Annotated[int, Interval(ge=0, le=1000)] = 8
    transfer_per_class: Count = 100  # pictures of each demo breed for the closing score
    seed: Annotated[int, Interval(ge=0, le=2**32 - 2)] = 0  # source of all chance


def scaled(images: np.ndarray) -> np.ndarray:
    """0 to 255 -> [-1, 1], which the backbone expects."""
    return images.astype("float32") / 127.5 - 1


def jitter(images: np.ndarray, shift: int, rng: np.random.Generator) -> np.ndarray:
    """Flip every other picture and move each by up to `shift` pixels, its edge repeated."""
    size = images.shape[1]
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)), "edge")
    moved = np.empty_like(images)
    for i, (y, x) in enumerate(rng.integers(0, 2 * shift + 1, (len(images), 2))):
        picture = padded[i, y : y + size, x : x + size]
        moved[i] = picture[:, ::-1] if rng.random() < 0.5 else picture
    return moved


def batches(images: np.ndarray, answers: dict[str, np.ndarray], settings: Settings, epoch: int):
    """One epoch of shuffled, jittered batches; epoch and seed alone decide what comes."""
    rng = np.random.default_rng([settings.seed, epoch])
    order = rng.permutation(len(images))
    for start in range(0, len(order) - settings.batch_size + 1, settings.batch_size):
        chosen = np.sort(order[start : start + settings.batch_size])
        chosen_answers = {name: answer[chosen] for name, answer in answers.items()}
        yield scaled(jitter(images[chosen], settings.shift, rng)), chosen_answers


def build(settings: Settings, steps: int):
    """The backbone with a softmax for the breed and one for each part, compiled."""
    import keras

    from finegrain.models.networks import XceptionSmall

    keras.utils.set_random_seed(settings.seed)
    side = settings.image_size
    backbone = XceptionSmall(settings.width, (side, side, 3))
    pooled = keras.layers.GlobalAveragePooling2D(name="embedding")(backbone.output)
    dropped = keras.layers.Dropout(0.2)(pooled)
    sizes = {"breed": settings.breeds} | {part: len(choices) for part, choices in PARTS.items()}
    outputs = {
        name: keras.layers.Dense(size, activation="softmax", name=name)(dropped)
        for name, size in sizes.items()
    }
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 20,
        steps * settings.epochs - steps // 2,
        alpha=0.0,
        warmup_target=settings.learning_rate,
        warmup_steps=steps // 2,
    )
    model = keras.Model(backbone.input, outputs)
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, clipnorm=1.0),
        loss={
            name: keras.losses.CategoricalCrossentropy(
                label_smoothing=settings.label_smoothing if name == "breed" else 0.0
            )
            for name in sizes
        },
        loss_weights={name: 1.0 if name == "breed" else 0.5 for name in sizes},
        metrics={name: ["accuracy"] for name in sizes},
    )
    return model


def train(settings: Settings, images: np.ndarray, answers: dict[str, np.ndarray], held: np.ndarray):
    """Train from the last checkpoint on; returns the model and the held-out scores."""
    import keras

    learn = {name: answer[~held] for name, answer in answers.items()}
    check = {name: answer[held] for name, answer in answers.items()}
    pictures, unseen = images[~held], scaled(images[held])
    steps = len(pictures) // settings.batch_size
    checkpoint = settings.run / "last.keras"
    settings.run.mkdir(parents=True, exist_ok=True)
    model = keras.models.load_model(checkpoint) if checkpoint.exists() else build(settings, steps)
    first = int(model.optimizer.iterations) // steps
    for epoch in range(first, settings.epochs):
        started = time.monotonic()
        drawn = batches(pictures, learn, settings, epoch)
        scores = model.fit(drawn, steps_per_epoch=steps, verbose=0).history
        held_out = model.evaluate(unseen, check, batch_size=128, verbose=0, return_dict=True)
        print(
            f"epoch {epoch + 1}/{settings.epochs}: "
            f"breed accuracy {scores['breed_accuracy'][0]:.3f}, "
            f"held out {held_out['breed_accuracy']:.3f}, parts "
            + " ".join(f"{part} {held_out[f'{part}_accuracy']:.3f}" for part in PARTS)
            + f", {time.monotonic() - started:.0f} s",
            flush=True,
        )
        with written_whole(checkpoint) as beside:
            model.save(beside)
    return model, model.evaluate(unseen, check, batch_size=128, verbose=0, return_dict=True)


def write_backbone(model, settings: Settings):
    """Write the trained backbone's weights; returns the backbone as the file gives it back."""
    import keras

    from finegrain.models.model_precision import save_half_weights
    from finegrain.models.networks import XceptionSmall

    inner = keras.Model(model.input, model.get_layer("block14_sepconv2_act").output)
    backbone = XceptionSmall(settings.width)
    backbone.set_weights(inner.get_weights())
    save_half_weights(backbone, settings.output)
    backbone.load_weights(settings.output)
    return backbone


def transfer_score(backbone, images: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of logistic regression that learns from three pictures of five."""
    features = backbone.predict(scaled(images), batch_size=128, verbose=0).mean(axis=(1, 2))
    return linear_probe(features, labels, learn=np.arange(len(labels)) % 5 < 3)


def main(settings: Settings) -> None:
    """Draw, train, score, and write the backbone's weights."""
    load_keras()
    started = time.monotonic()
    breeds = pretraining_breeds(settings.breeds)
    images, labels = draw_arrays(
        settings.photos, breeds, settings.per_class, settings.image_size, settings.seed
    )
    held = np.arange(len(labels)) % settings.valid_every == 0
    drawn = time.monotonic() - started
    print(f"{len(images)} pictures of {len(breeds)} breeds after {drawn:.0f} s", flush=True)
    from finegrain.models.networks import XceptionSmall

    model, scores = train(settings, images, part_targets(breeds, labels), held)
    print(f"held-out breed accuracy {scores['breed_accuracy']:.3f} on {held.sum()} pictures")
    backbone = write_backbone(model, settings)
    size = size_in_words(settings.output.stat().st_size)
    print(f"{settings.output}: {size}, {backbone.count_params():,} parameters")
    demo = draw_arrays(
        settings.photos.with_name("transfer"),
        demo_breeds(),
        settings.transfer_per_class,
        settings.image_size,
        settings.seed + 1,
    )
    trained = transfer_score(backbone, *demo)
    untrained = transfer_score(XceptionSmall(settings.width), *demo)
    print(
        f"logistic regression on frozen embeddings of the demo's {len(demo_breeds())} breeds: "
        f"top-1 accuracy {trained:.3f}, untrained backbone {untrained:.3f}; "
        f"{time.monotonic() - started:.0f} s in all"
    )


if __name__ == "__main__":
    run_command(main, Settings)
