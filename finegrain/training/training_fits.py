"""Whether a training can be computed in the memory of this machine."""

import keras

from finegrain.device import CPU, find_device
from finegrain.features.compute import BATCH
from finegrain.inference.opening import images_at_once
from finegrain.memory import check_memory_fits
from finegrain.models.backbone import BACKBONE_LAYER
from finegrain.models.needed_memory import least_training_bytes
from finegrain.training.feed import Feed
from finegrain.training.settings import TrainingSettings


def check_training_fits(
    model: keras.Model, settings: TrainingSettings, feed: Feed, first_unfrozen: int
) -> None:
    """Refuse stages that can never be computed on this machine's CPU.

    A GPU without memory says so itself, and is then given smaller parts of a batch; on a CPU the
    kernel ends the process without a word.

    Args:
        model: training model.
        settings: which stages there will be.
        feed: how large the batches are.
        first_unfrozen: index of the first backbone layer that the unfrozen stage trains.

    Raises:
        UserError: says how much memory it takes, and how much there is.
    """
    if find_device().kind != CPU:
        return
    layers = len(model.get_layer(BACKBONE_LAYER).layers)
    stored = images_at_once(min(BATCH, len(feed.data.paths("train"))), settings.openvino)
    augments = settings.augmentation() is not None
    stages = (
        (settings.frozen_epochs, layers, settings.views or not augments),
        (
            settings.unfrozen_epochs,
            first_unfrozen,
            settings.unfrozen_views or not (augments and settings.unfrozen_augmentation),
        ),
    )
    height, width = feed.image_size
    for epochs, boundary, has_fixed_views in stages:
        if epochs:
            # With fixed views the frozen layers answer once, for a store.
            is_stored = has_fixed_views and feed.stores() is not None
            frozen_batch = stored if is_stored else feed.batch_size
            check_memory_fits(
                least_training_bytes(model, boundary, feed.batch_size, frozen_batch),
                f"training on batches of {feed.batch_size} images of {height} x {width} pixels",
                "lower --image-size or --batch-size",
            )
