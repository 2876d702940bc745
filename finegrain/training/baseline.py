"""The baseline of a training: logistic regression on the embeddings of the frozen backbone."""

import contextlib
import time
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from finegrain.command import command_with
from finegrain.embeddings.logistic import Softmax, fit_softmax
from finegrain.errors import by_product
from finegrain.features.companion import Companion
from finegrain.features.compute import FeatureComputer
from finegrain.features.cut import below_the_mean, cut_at_boundary
from finegrain.features.engine import engine_of
from finegrain.features.plain import features_in_memory
from finegrain.features.stored import feature_key, open_store
from finegrain.images.batches import PhotoBatches
from finegrain.inference.quantized import REPAYING_PIXELS
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index
from finegrain.models.heads import CATEGORY
from finegrain.runs.run_folder import read_results, write_results
from finegrain.stores.row_store import RowStore
from finegrain.training.computing import MIXED_BFLOAT16
from finegrain.training.feed import Feed
from finegrain.training.route import computed_with, open_stage_store, row_columns
from finegrain.training.session import Session
from finegrain.training.stage_settings import StageSettings
from finegrain.training.train_stage import freeze_for_stage

# A linear classifier gains little from more.
MOST_IMAGES = 50_000
# Multiplications and additions a second of two cores, roughly.
SPEED = 4e10
# Steps in all that a fit takes, as a rule.
STEPS = 50
# Seconds that are worth a word beforehand.
LONG = 30
NAMES = {"valid": "validation", "test": "test"}


def measure_baseline(session: Session) -> None:
    """Measure what the session's model is to beat, once a run, and tell it.

    To be called before the training begins, while the backbone is as it was pretrained. It leaves
    the model and all chance as they are, unless the softmax is to begin with its weights. Else it
    only tells of a run, so what goes wrong leaves it out. Without pretrained weights there is none.

    Raises:
        UserError: the softmax is to begin with its weights, and an image can no longer be read.
    """
    results = read_results(session.run)
    is_wanted, measured = session.wants_baseline and not results.get("baseline"), None
    if session.starts_from_logistic:
        softmax, measured = _measured(session)
        weights = [softmax.kernel.astype("float32"), softmax.bias.astype("float32")]
        session.model.get_layer(CATEGORY).set_weights(weights)
    elif is_wanted:
        with by_product("the baseline"):
            _, measured = _measured(session)
    if is_wanted and measured:
        results["baseline"] = measured
        with by_product("the baseline"):
            write_results(session.run, results)
    if baseline := results.get("baseline"):
        print(f"  baseline  {described(baseline)}", flush=True)


def described(baseline: dict[str, Any]) -> str:
    """What `results.json` says of a baseline, in a line."""
    errors = ", ".join(
        f"{name} {baseline[key]:.4f}"
        for split, name in NAMES.items()
        if (key := f"{split}_error") in baseline
    )
    return (
        f"logistic regression on frozen embeddings: top-1 error {errors} "
        f"({baseline['seconds']:.0f} s)"
    )


def modern_command(session: Session) -> str:
    """The command that trains another run by the modern recipe; empty where that was this one's.

    What this command sets of the recipe's own flags is left out. Empty for a further stage, too,
    whose command trains nothing else.
    """
    settings = session.settings
    if not isinstance(settings, StageSettings) or settings.recipe == "modern":
        return ""
    own = settings.recipes()["modern"]
    return command_with({"recipe": "modern", "run": f"{settings.run}-modern"}, without=own)


def _measured(session: Session) -> tuple[Softmax, dict[str, Any]]:
    """The regression, and its `BaselineNumbers` as JSON values."""
    started = time.monotonic()
    # Without what a teacher adds, and validation images that the training learns.
    feed = replace(session.feed, data=session.data, soft=None)
    with contextlib.ExitStack() as opened:
        companion = _companion(session)
        if companion is not None:
            opened.callback(companion.store.close)
        embeddings, labels = frozen_embeddings(session.model, feed, companion)
    softmax = fit(embeddings, labels, len(session.data.classes))
    errors = {
        f"{split}_error": softmax.top1_error(embeddings[split], labels[split])
        for split in NAMES
        if split in labels
    }
    seconds = round(time.monotonic() - started, 1)
    return softmax, {**errors, "strength": softmax.strength, "seconds": seconds}


def fit(embeddings: dict[str, np.ndarray], labels: dict[str, np.ndarray], classes: int) -> Softmax:
    """The logistic regression of training images whose C suits the validation images best."""
    images, width = embeddings["train"].shape
    seconds = 4 * images * width * classes * STEPS / SPEED
    if seconds > LONG:
        print(
            f"  baseline  logistic regression on {images} images, {width} numbers each, {classes} "
            f"classes: some {seconds / 60:.0f} minutes (--no-baseline leaves it out)",
            flush=True,
        )
    train, valid = ((embeddings[split], labels[split]) for split in ("train", "valid"))
    return fit_softmax(train, valid, classes)


def _companion(session: Session) -> Companion | None:
    """The store of the first stage that trains blocks, where it sees photographs as they are.

    None too where stores shall hold nothing, or that one has rows of them already.
    """
    stages = [stage for stage in session.stages if stage.epochs]
    stage = next((stage for stage in stages if stage.unfreeze_from is not None), None)
    folder = session.feed.stores()
    if stage is None or folder is None or stage.side is not None or stage.changes:
        return None
    if not stage.fixed_views or (stage.augmentation and not stage.plain_views):
        return None
    layers = session.model._flatten_layers(include_self=False)
    learning = [(layer, layer.trainable) for layer in layers]
    try:
        freeze_for_stage(session.model, stage)
        first = boundary_index(session.model.get_layer(BACKBONE_LAYER), stage.unfreeze_from)
        cut = cut_at_boundary(session.model, first)
        if cut is None:
            return None
        photos = {"valid": session.feed.validation(), "train": session.feed.training(stage)}
        store, _ = open_stage_store(cut, stage, session.feed, folder, photos)
    finally:
        for layer, may_learn in learning:
            layer.trainable = may_learn
    if store is None:
        return None
    companion = Companion(cut, store, _places(store, photos, session))
    if companion.is_empty():
        return companion
    store.close()
    return None


def _places(
    store: RowStore, photos: dict[str, PhotoBatches], session: Session
) -> dict[str, np.ndarray]:
    """Split -> (N,) row in a stage's store of each photograph of the data set as it is."""
    places = {}
    for split, batches in photos.items():
        # The first of the views is the image as it is; what learns more images has them behind.
        row_of = {path: row for row, path in enumerate(batches.paths) if row < store.splits[split]}
        places[split] = np.array([row_of.get(path, -1) for path in session.data.paths(split)], int)
    return places


def frozen_embeddings(
    model: keras.Model, feed: Feed, companion: Companion | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Split -> embeddings (N, D), and labels (N,), of a data set's images as they are.

    Embeddings are means of the feature map of the model's backbone as it stands, from the feed's
    stores as far as these hold them. Of very many training images some are drawn; else a companion
    gets its features from the same passes.

    Raises:
        UserError: an image can no longer be read.
    """
    below = below_the_mean(model)
    photos = feed.plain(MOST_IMAGES)
    rows = {split: len(batches.paths) for split, batches in photos.items()}
    key = feature_key(below, photos, feed.checksums(), 1, computed_with(feed))
    folder = feed.stores()
    columns = row_columns(photos, dict.fromkeys(photos, 1), feed)
    store, kinds = open_store(folder, below, key, rows, columns) if folder else (None, below.kinds)
    have = sum(int(store.done(split).sum()) for split in store.splits) if store else 0
    where = f" in {store.path}" if store else ""
    if have < sum(rows.values()):
        print(
            f"  baseline  frozen embeddings of {sum(rows.values())} images, {have} there "
            f"already{where}",
            flush=True,
        )
    waiting = sum(rows.values()) - have
    judged, also = feed.judged(), None
    height, width = feed.frame.size
    is_whole = len(photos["train"].paths) == len(feed.data.paths("train"))
    is_exact = judged.precision == "auto" and waiting * height * width < REPAYING_PIXELS
    if companion is not None and store is not None and is_whole and is_exact and waiting:
        # Trained layers stand on it, so nothing is rounded to 8 bits.
        both, also = companion.below(model), companion.write
        bfloat16 = keras.config.dtype_policy().name == MIXED_BFLOAT16
        engine = engine_of(both.below, feed.openvino, waiting, bfloat16)
        kinds = {**kinds, **companion.kinds}
    else:
        engine = engine_of(below.below, feed.openvino, waiting, judged=judged)
    computer = FeatureComputer(engine, kinds)
    try:
        embeddings = features_in_memory(store, photos, computer, feed.workers, also)
    finally:
        if store is not None:
            store.close()
    exact = {split: values.astype("float32") for split, values in embeddings.items()}
    return exact, {split: batches.labels for split, batches in photos.items()}
