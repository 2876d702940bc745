"""One sitting of training: data, run folder and model, brought together from the settings."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from finegrain.datasets.manifest import DataSet, open_data_set
from finegrain.errors import UserError
from finegrain.frame import Frame
from finegrain.models.backbone import (
    BACKBONE_LAYER,
    boundary_index,
    check_weights_name,
    weights_digest,
)
from finegrain.models.backbone_table import find_backbone
from finegrain.models.needed_memory import MEMORY_GB
from finegrain.records import check_type
from finegrain.runs.run_config import RunSettings
from finegrain.runs.run_folder import RunFolder, describe_data
from finegrain.runs.stage_folder import STATE, StageFolder, read_state
from finegrain.training.build import build_model, check_head_start, rebuild_model, take_trained
from finegrain.training.computing import Computing, set_up_computing
from finegrain.training.feed import Feed, check_feed, fitting_batch_size
from finegrain.training.objectives import find_objective
from finegrain.training.objectives.objective import Objective
from finegrain.training.schedule import find_schedule
from finegrain.training.settings import TrainingSettings
from finegrain.training.stage import Stage
from finegrain.training.teacher import check_teacher, taught_by
from finegrain.training.teaching import taught_before
from finegrain.training.train_stage import train_stage
from finegrain.training.training_fits import check_training_fits


@dataclass
class Session:
    """What a training script holds while it runs.

    Attributes:
        model: the objective's training model, holding the weights of wherever the training stands.
        stages: what the script is to train, in order.
        settings: the flags the run was begun or goes on with, None for a further stage.
        memory_gb: of each device; a stage that is likely to take more is told of.
    """

    data: DataSet
    run: RunFolder
    objective: Objective
    model: keras.Model
    feed: Feed
    computing: Computing
    stages: Sequence[Stage] = ()
    settings: TrainingSettings | None = None
    memory_gb: float = MEMORY_GB

    @property
    def measured_data(self) -> DataSet:
        """The data set that tells what a stage has reached."""
        return self.data.validation_learnt() if self.feed.learns_validation else self.data

    @property
    def wants_baseline(self) -> bool:
        """Whether a baseline is asked for, of a backbone that was pretrained."""
        settings = self.settings
        return settings is not None and settings.baseline and settings.weights != "none"

    @property
    def starts_from_logistic(self) -> bool:
        """Whether the softmax is to begin with the baseline's weights: before the first epoch."""
        if self.settings is None or self.run.config.settings.head_start != "logistic":
            return False
        return not self.folder(self.stages[0]).epochs

    def folder(self, stage: Stage) -> StageFolder:
        """The stage's folder; refused if it was made with other settings."""
        folder = StageFolder(self.run.path / stage.name, asdict(stage), Stage.held_before())
        self.objective.check_history(folder.history, folder.path)
        return folder

    def train(self, stage: Stage) -> None:
        """Train a stage to its end; the model is left with the stage's best weights.

        A stage on pictures of another size rebuilds the model for them.
        """
        feed = self.feed.for_stage(stage)
        if feed.frame != self.feed.frame:
            model = rebuild_model(self.run.config, feed.frame.size, len(self.data.classes))
            take_trained(model, self.model)
            self.model, self.feed = model, feed
        jit_compile = self.computing.compilation.jit_compile
        train_stage(self.model, self.objective, stage, self.feed, self.folder(stage), jit_compile)

    def finished_model(self) -> keras.Model:
        """The model as it is used after training, with the weights of where it stands."""
        return self.objective.finished(self.model)

    def begun(self, name: str) -> Stage | None:
        """The stage of a name as it was begun, None where it was not."""
        path = self.run.path / name
        if not (path / STATE).is_file():
            return None
        return Stage.from_record(read_state(path).settings, path)

    def load_finished(self, name: str) -> Stage:
        """Load the best weights of a stage trained before; the stage as it was trained.

        Raises:
            UserError: it has not been trained to its end.
        """
        folder = StageFolder.finished_before(self.run.path / name)
        folder.load_best(self.model)
        return Stage.from_record(folder.settings, folder.path)


def start_session(settings: TrainingSettings, recipe: str) -> Session:
    """Begin a run that learns the objective of a name, or go on with the one in the run folder.

    Raises:
        UserError: settings, data set, weights or run folder that do not fit.
    """
    objective, spec = find_objective(recipe), find_backbone(settings.backbone)
    check_weights_name(settings.weights)
    check_teacher(settings, objective)
    data = open_data_set(settings.data)
    side = settings.image_size or spec.image_size
    frame = Frame(side, side, settings.fit)
    feed = Feed(
        data,
        frame,
        fitting_batch_size(settings.batch_size, data),
        seed=settings.seed,
        images_per_class=settings.images_per_class,
        workers=settings.workers,
        cache=settings.cache or cache_beside(settings.run),
        cache_gb=settings.cache_gb,
        openvino=settings.openvino,
        inference=settings.inference,
        augment_on=settings.augment_on,
    )
    check_feed(feed)
    if settings.train_on_validation:
        feed = feed.learning_validation()
    # Before anything is drawn: a run that goes on finds the answers in its folder.
    teaching = taught_by(settings, feed.data)
    feed = feed.taught(teaching, settings.teacher_weight, settings.teacher_temperature)
    recorded = check_type(settings.recorded(), RunSettings)
    precision = settings.precision
    if precision == "auto":
        # A run goes on in the precision it was begun in, on whatever device.
        begun = RunFolder.recorded(settings.run)
        precision = begun.precision if begun else "auto"
    computing = set_up_computing(
        precision, settings.jit, settings.seed, settings.deterministic, settings.devices
    )
    model = build_model(
        objective,
        spec,
        settings.weights,
        frame.size,
        len(data.classes),
        recorded,
        settings.memory_gb,
    )
    # Before a run folder is bound to these settings.
    check_head_start(model, recorded, settings.weights)
    backbone = model.get_layer(BACKBONE_LAYER)
    default = spec.unfreeze_from or str(boundary_index(backbone, None))
    stages = settings.stages(settings.unfreeze_from or default)
    _check_stages(
        stages,
        objective,
        feed,
        model,
        lambda size: build_model(objective, spec, "none", size, len(data.classes), recorded),
    )
    config = {
        "recipe": recipe,
        "defaults": getattr(settings, "recipe", "original"),
        "settings": settings.recorded(),
        "backbone": spec.name,
        "precision": computing.precision.policy,
        "image_size": list(feed.for_stage(stages[-1]).frame.size),
        "data": describe_data(data),
        "weights": {
            "name": settings.weights,
            "digest": weights_digest(backbone),
        },
        "heads": list(objective.heads),
        **({} if teaching is None else {"teaching": teaching.about.model_dump()}),
    }
    run = RunFolder.start(settings.run, config, data.classes, settings.held_before())
    if teaching is not None:
        teaching.save(run.path)
    return Session(
        data, run, objective, model, feed, computing, stages, settings, settings.memory_gb
    )


def _check_stages(
    stages: Sequence[Stage],
    objective: Objective,
    feed: Feed,
    model: keras.Model,
    build: Callable[[tuple[int, int]], keras.Model],
) -> None:
    """Refuse stages that cannot be trained; `build` makes the model for pictures (H, W)."""
    for stage in stages:
        find_schedule(stage.schedule)
        objective.check_stage(stage)
        if feed.learns_validation and (stage.monitor != "last" or stage.interpolate):
            raise UserError(
                "--train-on-validation leaves no images to judge epochs or weights by; add "
                "--monitor last --schedule cosine, as --recipe modern has it, and leave out "
                "--interpolate"
            )
        learner, sized = model, feed.for_stage(stage)
        if sized.frame != feed.frame:
            learner = build(sized.frame.size)
            take_trained(learner, model)
        check_training_fits(learner, [stage], sized)


def reopen_session(
    run: RunFolder,
    workers: int,
    moved_to: Path | None = None,
    memory_gb: float = MEMORY_GB,
    devices: int = 1,
    **stores: Any,
) -> Session:
    """Take up a run for a further stage; its model's weights are still to be loaded.

    Args:
        run: the run.
        workers: threads that read photographs.
        moved_to: where the run's data set stands now, if it has moved.
        memory_gb: of the device, as for `Session`.
        devices: so many compute together, 0 for all there are.
        stores: `cache`, `cache_gb` and `openvino` of the feed; by default nothing is stored.

    Raises:
        UserError: the run's data set is gone or has changed, or there are not so many devices.
    """
    config, settings = run.config, run.config.settings
    if settings.train_on_validation:
        raise UserError(
            f"{run.path} has learnt its validation images, so nothing is left to judge a further "
            "stage by; take a run without --train-on-validation"
        )
    data = open_data_set(moved_to or Path(config.data.folder))
    if data.digest != config.data.digest:
        raise UserError(
            f"the data set {data.folder} is no longer the one {run.path} was trained on; "
            "make it again as it was, or train a new run on it"
        )
    feed = Feed(
        data,
        config.frame,
        fitting_batch_size(settings.batch_size, data),
        seed=settings.seed,
        images_per_class=settings.images_per_class,
        workers=workers,
        **stores,
    )
    teaching = taught_before(run.path, config.teaching)
    feed = feed.taught(teaching, settings.teacher_weight, settings.teacher_temperature)
    computing = set_up_computing(
        config.precision, settings.jit, settings.seed, settings.deterministic, devices
    )
    model = rebuild_model(config, config.frame.size, len(data.classes))
    objective = find_objective(config.recipe)
    return Session(data, run, objective, model, feed, computing, memory_gb=memory_gb)


def cache_beside(run: Path) -> Path:
    """The folder of stores that all runs beside this one share."""
    return run.absolute().parent / "cache"
