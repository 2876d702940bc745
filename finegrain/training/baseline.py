"""The baseline of a training: logistic regression on the embeddings of the frozen backbone."""

import time
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from finegrain.command import command_with
from finegrain.embeddings.logistic import Softmax, fit_softmax
from finegrain.errors import by_product
from finegrain.features.compute import FeatureComputer
from finegrain.features.cut import below_the_mean
from finegrain.features.engine import engine_of
from finegrain.features.plain import features_in_memory
from finegrain.features.stored import feature_key, open_store
from finegrain.models.heads import CATEGORY
from finegrain.runs.run_folder import read_results, write_results
from finegrain.training.feed import Feed
from finegrain.training.route import computed_with, row_columns
from finegrain.training.session import Session
from finegrain.training.stage_settings import StageSettings

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
    embeddings, labels = frozen_embeddings(session.model, feed)
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


def frozen_embeddings(
    model: keras.Model, feed: Feed
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Split -> embeddings (N, D), and labels (N,), of a data set's images as they are.

    Embeddings are means of the feature map of the model's backbone as it stands, from the feed's
    stores as far as these hold them. Of very many training images some are drawn.

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
    engine = engine_of(below.below, feed.openvino, waiting, judged=feed.judged())
    computer = FeatureComputer(engine, kinds)
    try:
        embeddings = features_in_memory(store, photos, computer, feed.workers)
    finally:
        if store is not None:
            store.close()
    exact = {split: values.astype("float32") for split, values in embeddings.items()}
    return exact, {split: batches.labels for split, batches in photos.items()}
