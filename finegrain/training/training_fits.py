"""Whether a training can be computed in the memory of this machine."""

from collections.abc import Sequence

import keras

from finegrain.device import CPU, find_device
from finegrain.features.compute import BATCH
from finegrain.inference.opening import images_at_once
from finegrain.memory import check_memory_fits
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index
from finegrain.models.needed_memory import least_training_bytes
from finegrain.training.feed import Feed
from finegrain.training.stage import Stage


def check_training_fits(model: keras.Model, stages: Sequence[Stage], feed: Feed) -> None:
    """Refuse stages that can never be computed on this machine's CPU.

    A GPU without memory says so itself, and is then given smaller parts of a batch; on a CPU the
    kernel ends the process without a word.

    Raises:
        UserError: says how much memory it takes, and how much there is.
    """
    if find_device().kind != CPU:
        return
    backbone = model.get_layer(BACKBONE_LAYER)
    stored = images_at_once(min(BATCH, len(feed.data.paths("train"))), feed.openvino)
    height, width = feed.frame.size
    for stage in stages:
        if not stage.epochs:
            continue
        boundary = len(backbone.layers)
        if stage.unfreeze_from is not None:
            boundary = boundary_index(backbone, stage.unfreeze_from)
        # With fixed views the frozen layers answer once, for a store.
        is_stored = stage.fixed_views and feed.stores() is not None
        frozen_batch = stored if is_stored else feed.batch_size
        check_memory_fits(
            least_training_bytes(model, boundary, feed.batch_size, frozen_batch),
            f"training on batches of {feed.batch_size} images of {height} x {width} pixels",
            "lower --image-size or --batch-size",
        )
