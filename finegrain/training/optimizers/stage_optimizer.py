"""The optimizer of a stage: its kind, its schedule, and a rate for each group of layers."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import keras
from keras import ops

from finegrain.errors import UserError
from finegrain.models.backbone import BACKBONE_LAYER
from finegrain.tensor import Tensor
from finegrain.training.optimizers.averaged import AveragedOptimizer
from finegrain.training.schedule import optimizer_rate
from finegrain.training.stage import Stage

# Of a backbone, so that the optimizer has few groups; a fine-tuning trains a dozen layers or all.
MOST_BLOCKS = 8


def stage_optimizer(model: keras.Model, stage: Stage, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a stage with so many steps an epoch, not yet built.

    Args:
        model: frozen as the stage wants it.

    Raises:
        UserError: an optimizer or a learning rate that cannot be.
    """
    if not 0 < stage.learning_rate < float("inf"):
        raise UserError(f"the learning rate must be above 0, but is {stage.learning_rate}")
    optimizer = _by_groups(model, stage, steps)
    return AveragedOptimizer(optimizer, stage.ema) if stage.ema else optimizer


def _by_groups(model: keras.Model, stage: Stage, steps: int) -> keras.optimizers.Optimizer:
    groups = dict(_groups(model, stage))
    if set(groups) <= {1.0}:
        clip = stage.clip_norm or None
        return _optimizer(stage, optimizer_rate(stage, steps), model.trainable_variables, clip)
    optimizers = [
        _optimizer(stage, optimizer_rate(stage, steps, times), group)
        for times, group in groups.items()
    ]
    return GroupedOptimizer(optimizers, list(groups.values()), list(groups), stage.clip_norm)


def _optimizer(
    stage: Stage, rate: Any, learning: Sequence[keras.Variable], clip: float | None = None
) -> keras.optimizers.Optimizer:
    if stage.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(
            rate, weight_decay=stage.weight_decay, global_clipnorm=clip
        )
        # Loshchilov & Hutter 2019, arXiv 1711.05101; biases and norms are as large as it takes.
        optimizer.exclude_from_weight_decay([v for v in learning if len(v.shape) < 2])
        return optimizer
    if stage.optimizer == "adam":
        return keras.optimizers.Adam(rate, global_clipnorm=clip)
    if stage.optimizer == "nadam":
        # Dozat 2016, "Incorporating Nesterov Momentum into Adam"
        return keras.optimizers.Nadam(rate, global_clipnorm=clip)
    if stage.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=stage.momentum, global_clipnorm=clip)
    raise UserError(f"the optimizer must be adam, adamw, nadam or sgd, but is {stage.optimizer!r}")


def _groups(model: keras.Model, stage: Stage) -> list[tuple[float, list[keras.Variable]]]:
    """Times the learning rate, and the variables that learn so fast; rates may be equal."""
    backbone = model.get_layer(BACKBONE_LAYER)
    block_of = {id(v): block for block, v in _by_block(backbone)}
    grouped: dict[float, list[keras.Variable]] = {}
    for variable in model.trainable_variables:
        block = block_of.get(id(variable))
        times = stage.head_rate if block is None else stage.layer_decay**block
        grouped.setdefault(times, []).append(variable)
    return sorted(grouped.items(), key=lambda entry: entry[0] != 1.0)


def _by_block(backbone: keras.Model) -> Iterator[tuple[int, keras.Variable]]:
    """Trained variables with their block, counted from the top, which is 0.

    Blocks hold equal numbers of layers with kernels, as far as these can be divided. Layers
    without one, such as BatchNormalization, belong to the block of the kernel before them.
    """
    trained = [layer for layer in backbone.layers if layer.trainable_variables]
    kernels = [any(len(v.shape) > 1 for v in layer.trainable_variables) for layer in trained]
    count = max(1, sum(kernels))
    blocks = min(MOST_BLOCKS, count)
    for layer, kernels_so_far in zip(trained, accumulate(kernels), strict=True):
        above = min(count - kernels_so_far, count - 1)
        for variable in layer.trainable_variables:
            yield above * blocks // count, variable


class GroupedOptimizer(keras.optimizers.Optimizer):
    """Several optimizers as one, each with some of the variables.

    Keras gives an optimizer one learning rate; here every group has an optimizer of its own, with
    a rate that is so many times the first one's.

    Args:
        optimizers: one a group, not yet built.
        groups: the variables of each.
        times: the rate of each, as a multiple of the stage's.
        clip_norm: largest norm of the gradients of all groups together, 0 for any. Groups that
            clipped by themselves would turn the step as a whole.
    """

    def __init__(
        self,
        optimizers: Sequence[keras.optimizers.Optimizer],
        groups: Sequence[Sequence[keras.Variable]],
        times: Sequence[float],
        clip_norm: float = 0.0,
        name: str = "grouped",
    ):
        # The rates are the optimizers' own; Keras wants one.
        super().__init__(learning_rate=0.0, name=name)
        self.optimizers, self.times = list(optimizers), list(times)
        self.clip_norm = clip_norm
        self._group_of = {id(v): number for number, group in enumerate(groups) for v in group}

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._places = [
            [place for place, v in enumerate(variables) if self._group_of[id(v)] == number]
            for number in range(len(self.optimizers))
        ]
        for optimizer, places in zip(self.optimizers, self._places, strict=True):
            optimizer.build([variables[place] for place in places])

    @property
    def variables(self) -> list[keras.Variable]:
        return self._variables + [v for optimizer in self.optimizers for v in optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        return self.optimizers[0].learning_rate / self.times[0]

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        for optimizer, times in zip(self.optimizers, self.times, strict=True):
            optimizer.learning_rate = times * learning_rate

    @property
    def iterations(self) -> keras.Variable:
        return self.optimizers[0].iterations

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        for number, optimizer in enumerate(self.optimizers):
            optimizer.finalize_variable_values(
                [v for v in var_list if self._group_of[id(v)] == number]
            )

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """One step of every group."""
        variables = list(trainable_variables or self._trainable_variables)
        self.build(variables)
        if self.clip_norm:
            grads = clipped(grads, self.clip_norm)
        for optimizer, places in zip(self.optimizers, self._places, strict=True):
            optimizer.apply([grads[place] for place in places], [variables[p] for p in places])


def clipped(gradients: Sequence[Tensor | None], most: float) -> list[Tensor | None]:
    """Gradients scaled down by one factor where their norm as one vector is above `most`.

    Pascanu et al. 2013, arXiv 1211.5063, section 3.2.
    """
    squares = [ops.sum(ops.square(one)) for one in gradients if one is not None]
    norm = ops.sqrt(sum(squares))
    factor = most / ops.maximum(norm, most)
    return [None if one is None else one * factor for one in gradients]
