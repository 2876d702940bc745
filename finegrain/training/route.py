"""Which way a stage goes: through the whole model, or from stored features through what learns."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from finegrain.features.compute import FeatureComputer, FeatureOverflow, fill
from finegrain.features.cut import (
    ACTIVATION,
    BACKBONE_MAP,
    Below,
    Cut,
    cut_above_backbone,
    cut_at_boundary,
)
from finegrain.features.engine import engine_of
from finegrain.features.stored import FeatureBatches, feature_key, open_store
from finegrain.images.augmentation import Augmentation
from finegrain.images.batches import Batches, PhotoBatches
from finegrain.images.pixels import PixelStore
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index
from finegrain.models.heads import EMBEDDING
from finegrain.models.layers import RandomAffine, RandomColour, RandomErasing
from finegrain.stores.row_layout import Columns, RowKind
from finegrain.stores.row_store import RowStore
from finegrain.stores.store_folder import StoreFolder
from finegrain.training.computing import MIXED_BFLOAT16
from finegrain.training.feed import Feed
from finegrain.training.stage import Stage

# What a store holds, by where the model was cut.
STORED = {
    EMBEDDING: "embeddings",
    BACKBONE_MAP: "feature maps of the backbone",
    ACTIVATION: "activations at the boundary",
}


@dataclass(frozen=True)
class Route:
    """What `fit` gets.

    Attributes:
        model: the training model, or one that shares its layers: its upper part, or with layers
            that augment in front. Not compiled then.
        training: batches it trains on.
        validation: batches that judge an epoch.
        stores: to be closed when the stage ends.
        seconds: what it took to get here: filling a store.
    """

    model: keras.Model
    training: Batches
    validation: Batches
    stores: Sequence[RowStore | PixelStore]
    seconds: float = 0.0


def choose_route(model: keras.Model, stage: Stage, feed: Feed) -> Route:
    """Take what stands still from a store where that is possible, and say which way it goes.

    Args:
        model: the training model, frozen as the stage wants it.

    Raises:
        UserError: an image can no longer be read.
    """
    photos = {"valid": feed.validation(), "train": feed.training(stage)}
    stores = feed.stores()
    cut, reason = _cut(model, stage, stores)
    if cut is not None and stores is not None:
        started = time.monotonic()
        stored, reason = _stored(cut, stage, feed, stores, photos)
        if stored is not None:
            seconds = time.monotonic() - started
            store = stored["train"].store
            return Route(cut.above, stored["train"], stored["valid"], [store], seconds)
    print(f"  direct    every photograph passes the whole model every epoch: {reason}", flush=True)
    return _direct(model, stage, feed)


def _direct(model: keras.Model, stage: Stage, feed: Feed) -> Route:
    pixels = _pixels(feed)
    if feed.augment_on == "device" and stage.augmentation and not stage.fixed_views:
        if stage.cutmix:
            # What a crop takes away later would still count in the labels.
            print("  notice    --cutmix mixes augmented images, so they are augmented on the CPU")
        else:
            print("  augments  on the device, as layers of the model")
            model, stage = augmenting(model, stage.augmentation), replace(stage, augmentation=None)
    stores = [] if pixels is None else [pixels]
    return Route(model, feed.training(stage, pixels), feed.validation(pixels), stores)


def augmenting(model: keras.Model, augmentation: Augmentation) -> keras.Model:
    """A model of the same layers and outputs that changes its images at random in training."""
    image = keras.Input(model.get_layer("image").output.shape[1:], name="image")
    changed = RandomAffine(
        augmentation.rotation,
        augmentation.shear,
        augmentation.zoom,
        augmentation.horizontal_flip,
        augmentation.crop_area,
        name="augment",
    )(image)
    if augmentation.changes_colours:
        colours = RandomColour(
            augmentation.brightness, augmentation.contrast, augmentation.saturation
        )
        changed = colours(changed)
    if augmentation.erasing:
        changed = RandomErasing(augmentation.erasing)(changed)
    if not isinstance(model.input, dict):
        return keras.Model(image, model.call(changed), name=model.name)
    others = {
        name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
        for name, tensor in model.input.items()
        if name != "image"
    }
    outputs = model.call({"image": changed, **others})
    return keras.Model({"image": image, **others}, outputs, name=model.name)


def _pixels(feed: Feed) -> PixelStore | None:
    """The store of resized photographs, told of; None where nothing shall or can be stored."""
    folder = feed.stores()
    if folder is None:
        return None
    photos = {split: feed.data.paths(split) for split in ("valid", "train")}
    pixels = PixelStore.open(folder, photos, feed.frame, feed.checksums())
    if pixels is not None:
        count = sum(len(paths) for paths in photos.values())
        print(f"  pixels    {pixels.held()} of {count} decoded already, in {pixels.store.path}")
    if folder.reason:
        print(f"  notice    {folder.reason}; the rest is decoded each epoch")
    return pixels


def _cut(model: keras.Model, stage: Stage, stores: StoreFolder | None) -> tuple[Cut | None, str]:
    if stores is None:
        return None, "nothing shall be stored (--cache-gb 0)"
    if not stage.fixed_views:
        return None, "each epoch has new augmented views (fixed ones: --views, --unfrozen-views)"
    if stage.changes:
        return None, "each epoch mixes its batches anew"
    cut: Cut | None
    if stage.unfreeze_from is None:
        cut = cut_above_backbone(model)
    else:
        first = boundary_index(model.get_layer(BACKBONE_LAYER), stage.unfreeze_from)
        cut = cut_at_boundary(model, first)
    if cut is None:
        return None, "the first layers are trained too"
    learning = [id(variable) for variable in model.trainable_variables]
    if learning != [id(variable) for variable in cut.above.trainable_variables]:
        # The optimizer in a checkpoint goes by the order of variables.
        return None, "the layers of this model cannot be cut in order"
    return cut, ""


def _stored(
    cut: Cut, stage: Stage, feed: Feed, folder: StoreFolder, photos: dict[str, PhotoBatches]
) -> tuple[dict[str, FeatureBatches] | None, str]:
    """Batches from a filled store, or why there is none."""
    # Rounding to 8 bits is 0.5 % of an activation, ten times float16's; so only where the layers
    # above round to 8 bits as well.
    policy = keras.config.dtype_policy().name
    bfloat16 = cut.name == EMBEDDING or policy == MIXED_BFLOAT16
    store, kinds = open_stage_store(cut, stage, feed, folder, photos)
    if store is None:
        return None, folder.reason
    views = {"valid": 1, "train": stage.fixed_views}
    rows = {split: views[split] * len(batches.paths) for split, batches in photos.items()}
    judged = feed.judged() if cut.name == EMBEDDING else None
    engine = engine_of(cut.below, feed.openvino, sum(rows.values()), bfloat16, judged)
    computer = FeatureComputer(engine, kinds)
    try:
        _tell(store, cut, stage, rows, folder.reason)
        stopped = fill(store, photos, computer, feed.workers)
    except FeatureOverflow as error:
        store.close()
        store.path.unlink(missing_ok=True)
        return None, f"{error}, which a store cannot hold"
    finally:
        store.flush()
    if stopped:
        print(f"  notice    the store was not filled, {stopped}; the rest is computed each epoch")
    return {
        split: FeatureBatches(batches, store, split, views[split], computer)
        for split, batches in photos.items()
    }, ""


def open_stage_store(
    cut: Below,
    stage: Stage,
    feed: Feed,
    folder: StoreFolder,
    photos: dict[str, PhotoBatches],
) -> tuple[RowStore | None, dict[str, RowKind]]:
    """The store that a stage reads, of a model cut as it is frozen for that, and its kinds."""
    views = {"valid": 1, "train": stage.fixed_views}
    rows = {split: views[split] * len(batches.paths) for split, batches in photos.items()}
    key = feature_key(cut, photos, feed.checksums(), stage.fixed_views, computed_with(feed))
    return open_store(folder, cut, key, rows, row_columns(photos, views, feed))


def computed_with(feed: Feed) -> str:
    """What a store's key says of how its rows are computed."""
    how = f"{'openvino' if feed.openvino else 'keras'} {keras.config.dtype_policy().name}"
    return how if feed.inference == "auto" else f"{how} {feed.inference}"


def row_columns(photos: dict[str, PhotoBatches], views: dict[str, int], feed: Feed) -> Columns:
    """What describes the rows of a store, of so many views in each split, for people."""
    columns: dict[str, dict[str, Any]] = {"path": {}, "label": {}, "view": {}}
    for split, batches in photos.items():
        count = views[split]
        paths = [os.path.relpath(path, feed.data.folder) for path in batches.paths]
        columns["path"][split] = paths * count
        columns["label"][split] = np.tile(batches.labels, count)
        columns["view"][split] = np.repeat(np.arange(count), len(paths))
    return columns


def _tell(store: RowStore, cut: Cut, stage: Stage, rows: dict[str, int], reason: str) -> None:
    what = STORED[cut.name]
    kind = "views" if stage.plain_views else "augmented views"
    views = f", {stage.fixed_views} {kind} each" if stage.augmentation else ""
    have = sum(int(store.done(split).sum()) for split in rows)
    print(
        f"  stored    {what}{views}: {have} of {sum(rows.values())} there already, in {store.path}"
    )
    if reason:
        print(f"  notice    {reason}; the rest is computed each epoch")
