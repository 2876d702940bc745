"""What stored features depend on, as digests: another key, another store."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from finegrain.features.cut import Cut
from finegrain.images.batches import PhotoBatches
from finegrain.images.pixels import photos_digest
from finegrain.models.backbone import weights_digest


def feature_key(
    cut: Cut,
    photos: dict[str, PhotoBatches],
    checksums: Mapping[Path, str],
    views: int,
    engine: str,
) -> dict[str, Any]:
    """The key of a store.

    Args:
        cut: its lower part computes the features.
        photos: split -> the images, in the order of the store's rows.
        checksums: image file -> digest of its content, from the manifest.
        views: views a training image.
        engine: what computes the features, and how precisely.

    Returns:
        JSON values: digests of images and weights, the network's shape, image size,
        augmentation and its seed.
    """
    some = next(iter(photos.values()))
    augmented = {
        split: {"ranges": batches.augmentation.ranges(), "seed": batches.seed, "views": views}
        for split, batches in photos.items()
        if batches.augmentation is not None
    }
    digests = {split: photos_digest(batches.paths, checksums) for split, batches in photos.items()}
    return {
        "features": {kind: [list(what.shape), what.dtype] for kind, what in cut.kinds.items()},
        "images": digests,
        "weights": weights_digest(cut.below),
        "network": network_digest(cut.below, cut.boundary),
        "image_size": list(some.image_size),
        "augmentation": augmented,
        "engine": engine,
    }


def network_digest(below: keras.Model, boundary: int | None = None) -> str:
    """SHA-256 over the layers below a cut, but for their names, which differ by process."""
    layers = [
        [type(layer).__name__, _without_names(layer.get_config())]
        for layer in below._flatten_layers(include_self=False)
        if not hasattr(layer, "layers")
    ]
    content = json.dumps([boundary, layers], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _without_names(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _without_names(value) for key, value in config.items() if key != "name"}
    return config
