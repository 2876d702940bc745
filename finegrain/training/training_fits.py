"""Whether a training can be computed in the memory that there is."""

from collections.abc import Sequence

import keras

from finegrain.device import CPU, find_device
from finegrain.features.compute import BATCH
from finegrain.inference.opening import images_at_once
from finegrain.memory import check_memory_fits, size_in_words
from finegrain.models.backbone import BACKBONE_LAYER, boundary_index
from finegrain.models.needed_memory import least_training_bytes
from finegrain.models.step_memory import StepMemory, step_memory
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
    height, width = feed.frame.size
    for stage in stages:
        if not stage.epochs:
            continue
        boundary = first_trained(model, stage.unfreeze_from)
        frozen_batch = _frozen_batch(stage, feed) or feed.batch_size
        check_memory_fits(
            least_training_bytes(model, boundary, feed.batch_size, frozen_batch),
            f"training on batches of {feed.batch_size} images of {height} x {width} pixels",
            "lower --image-size or --batch-size",
        )


def memory_notice(
    model: keras.Model, stage: Stage, feed: Feed, memory_gb: float, devices: int = 1
) -> str | None:
    """What to say of a stage that is likely to take more gigabytes, 10^9 bytes; else None.

    Args:
        model: the training model, for pictures of the feed's own size.
        memory_gb: of each device.
        devices: so many compute each batch together.
    """
    sized, most = feed.for_stage(stage), memory_gb * 1e9
    needed, frozen_batch = _likely(model, stage, feed, sized), _frozen_batch(stage, sized)
    if frozen_batch is not None:
        frozen_batch = -(-frozen_batch // devices)
    likely = needed.at(-(-feed.batch_size // devices), frozen_batch)
    if not stage.epochs or likely <= most:
        return None
    fitting = devices * needed.largest_batch(most, frozen_batch)
    smaller = min(fitting, feed.batch_size - 1)
    remedy = "take a smaller --image-size, --backbone or head, or train fewer layers"
    if smaller:
        there = size_in_words(needed.at(-(-smaller // devices), frozen_batch))
        remedy = f"--batch-size {smaller} would take {there}"
    return (
        f"{stage.name} is likely to take {size_in_words(likely)}, more than --memory-gb "
        f"{memory_gb:g}; {remedy}"
    )


def _likely(model: keras.Model, stage: Stage, feed: Feed, sized: Feed) -> StepMemory:
    """What a stage's steps take; the feeds are of the model's pictures and of the stage's."""
    memory = step_memory(
        model,
        first_trained(model, stage.unfreeze_from),
        stage.optimizer,
        train_batch_norm=stage.train_batch_norm,
        averaged=bool(stage.ema),
    )
    (height, width), (stage_height, stage_width) = feed.frame.size, sized.frame.size
    larger = stage_height * stage_width / (height * width)
    return StepMemory(memory.fixed, larger * memory.passing, larger * memory.kept)


def first_trained(model: keras.Model, unfreeze_from: str | int | None) -> int:
    """Index of the backbone layer from which a stage trains, their number where it is None."""
    backbone = model.get_layer(BACKBONE_LAYER)
    if unfreeze_from is None:
        return len(backbone.layers)
    return boundary_index(backbone, unfreeze_from)


def _frozen_batch(stage: Stage, feed: Feed) -> int | None:
    """Images that pass the frozen layers at once for a store; None where a batch passes whole."""
    if stage.fixed_views and feed.stores() is not None:
        return images_at_once(min(BATCH, len(feed.data.paths("train"))), feed.openvino)
    return None
