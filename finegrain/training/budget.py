"""What a training is about to cost, said before it starts."""

import math
from collections.abc import Iterator

from finegrain.models.backbone import BACKBONE_LAYER, boundary_index
from finegrain.models.heads import EMBEDDING
from finegrain.models.image_heads import feature_map
from finegrain.runs.run_config import RunSettings, RunTeaching
from finegrain.training.session import Session
from finegrain.training.stage import Stage
from finegrain.training.train_stage import freeze_for_stage
from finegrain.training.training_fits import memory_notice


def print_budget(session: Session, stages: list[Stage]) -> None:
    """Print images, classes, steps, parameters, device and precision."""
    data, feed = session.data, session.feed
    images = ", ".join(f"{len(data.paths(split))} {split}" for split in data.splits)
    height, width = feed.frame.size
    config = session.run.config
    print(f"{session.run.path}: {config.recipe} on {config.backbone}")
    print(f"  images    {images}; {len(data.classes)} classes; {height} x {width} pixels")
    if feed.learns_validation:
        print("            validation images are learnt too: what is said of them tells nothing")
    if config.settings.head is not None:
        print(f"  head      {_head_line(session)}")
    if config.teaching is not None:
        for line in _teaching_lines(config.teaching, config.settings):
            print(line)
    print(f"  device    {session.computing}")
    devices = session.computing.devices
    for line in filter(None, (session.computing.idle, _uneven(feed.batch_size, devices))):
        print(f"  notice    {line}")
    for stage in stages:
        print(f"  {stage.name:<9} {_stage_line(session, stage)}")
        notice = memory_notice(session.model, stage, feed, session.memory_gb, devices)
        if notice is not None:
            print(f"  notice    {notice}")


def _uneven(batch_size: int, devices: int) -> str | None:
    """What to say of batches that leave some of the devices with less to do than the others."""
    if batch_size % devices == 0:
        return None
    most = -(-batch_size // devices)
    return (
        f"a batch of {batch_size} takes {devices} devices as long as one of {most * devices}; "
        f"a --batch-size that {devices} divides keeps all of them busy"
    )


def _head_line(session: Session) -> str:
    model = session.model
    shape = " x ".join(map(str, feature_map(model).shape[1:]))
    width = model.get_layer(EMBEDDING).output.shape[-1]
    count = model.count_params() - model.get_layer(BACKBONE_LAYER).count_params()
    name = session.run.config.settings.head
    return f"{name}: from {shape} features to {width:,} an image; {count:,} parameters"


def _teaching_lines(teaching: RunTeaching, settings: RunSettings) -> Iterator[str]:
    runs = ", ".join(teaching.runs)
    if settings.teacher_weight:
        yield (
            f"  teacher   {runs}: {settings.teacher_weight:g} of each label is its answer for the "
            f"plain image, at temperature {settings.teacher_temperature:g}"
        )
    if teaching.folder is not None:
        yield (
            f"  notice    trains on {teaching.images} photographs of {teaching.folder} too, with "
            f"labels guessed by {runs}; scores on these photographs are not comparable"
        )


def _stage_line(session: Session, stage: Stage) -> str:
    freeze_for_stage(session.model, stage)
    trainable = sum(math.prod(variable.shape) for variable in session.model.trainable_variables)
    total = session.model.count_params()
    steps = session.feed.training(stage).steps()
    start = "heads only"
    if stage.unfreeze_from is not None:
        backbone = session.model.get_layer(BACKBONE_LAYER)
        index = boundary_index(backbone, stage.unfreeze_from)
        start = f"from layer {index} ({backbone.layers[index].name})"
    return (
        f"{stage.epochs} epochs of {steps} steps of {session.feed.batch_size}; {start}: "
        f"{trainable:,} parameters trainable, {total - trainable:,} frozen; "
        f"{stage.optimizer} {stage.learning_rate:g}; "
        f"{_views(stage)}{f', {stage.side} x {stage.side} pixels' if stage.side else ''}"
    )


def _views(stage: Stage) -> str:
    if stage.augmentation is None:
        return "without augmentation"
    if stage.fixed_views:
        return f"with augmentation, {stage.fixed_views} views of each image"
    return "with augmentation, new views every epoch"
