"""One step of an optimizer from the gradients of several parts of a batch."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from finegrain.tensor import Tensor


class AccumulatedOptimizer(keras.optimizers.Optimizer):
    """Wraps an optimizer: sums the gradients of `parts` calls, then takes one step with their mean.

    Keras's own `gradient_accumulation_steps` does the same inside an optimizer, but counts parts
    as iterations, keeps its sums among the variables of a checkpoint, and under float16 loses
    count of the parts when a `LossScaleOptimizer` leaves one out. Here the wrapped optimizer, the
    loss scale's included, sees whole batches only, and its variables are those of a plain one.

    Args:
        wrapped: the optimizer that takes the steps, built or not.
        parts: gradients to a step.
    """

    def __init__(self, wrapped: keras.optimizers.Optimizer, parts: int, name: str = "accumulated"):
        # The rate is the wrapped optimizer's; Keras wants one.
        super().__init__(learning_rate=0.0, name=name)
        self.wrapped = wrapped
        self.parts = parts

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        if not self.wrapped.built:
            self.wrapped.build(variables)
        super().build(variables)
        self.sums = [self.add_variable_from_reference(v, "sum") for v in variables]

    @property
    def variables(self) -> list[keras.Variable]:
        return self._variables + self.wrapped.variables

    @property
    def learning_rate(self) -> Any:
        return self.wrapped.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.wrapped.learning_rate = learning_rate

    @property
    def iterations(self) -> keras.Variable:
        return self.wrapped.iterations

    def scale_loss(self, loss: Tensor) -> Tensor:
        return self.wrapped.scale_loss(loss)

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        self.wrapped.finalize_variable_values(var_list)

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Add one part's gradients; step if it is the last one. TensorFlow and PyTorch."""
        variables = list(trainable_variables or self._trainable_variables)
        self.build(variables)
        sums = [self.sums[self._get_variable_index(variable)] for variable in variables]
        for total, gradient in zip(sums, grads, strict=True):
            if gradient is not None:
                total.assign_add(gradient / self.parts)
        self._iterations.assign_add(1)

        def step() -> None:
            means = [
                None if gradient is None else ops.convert_to_tensor(total)
                for total, gradient in zip(sums, grads, strict=True)
            ]
            self.wrapped.apply(means, variables)
            for total in sums:
                total.assign(ops.zeros_like(total))

        ops.cond(ops.equal(self._iterations % self.parts, 0), step, lambda: None)

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Tensor],
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[Tensor],
    ) -> tuple[Sequence[Tensor], list[Tensor]]:
        """The same as `apply`, by values instead of variables. JAX."""
        own = len(self._variables)
        wrapped = optimizer_variables[own:]
        iterations, rate, *sums = optimizer_variables[:own]
        sums = [
            total if gradient is None else total + gradient / self.parts
            for total, gradient in zip(sums, grads, strict=True)
        ]
        iterations = iterations + 1

        def step() -> tuple[Sequence[Tensor], list[Tensor], Sequence[Tensor]]:
            means = [
                None if gradient is None else total
                for total, gradient in zip(sums, grads, strict=True)
            ]
            after, state = self.wrapped.stateless_apply(wrapped, means, trainable_variables)
            return after, [ops.zeros_like(total) for total in sums], state

        trainable_variables, sums, wrapped = ops.cond(
            ops.equal(iterations % self.parts, 0),
            step,
            lambda: (trainable_variables, sums, wrapped),
        )
        return trainable_variables, [iterations, rate, *sums, *wrapped]


def model_in_parts(
    model: keras.Model, parts: int, compile_arguments: dict[str, Any]
) -> keras.Model:
    """A model of the same layers that learns a batch in parts.

    The given model's optimizer takes the steps, so its state and its checkpoints stay what they
    would be without parts; save that model, train this one.

    Args:
        model: compiled for a stage, its optimizer built.
        parts: parts a batch; 1 gives the model itself.
        compile_arguments: what `compile` takes beside the optimizer.
    """
    if parts == 1:
        return model
    twin = keras.Model(model.input, model.output, name=model.name)
    optimizer = AccumulatedOptimizer(model.optimizer, parts)
    optimizer.build(model.trainable_variables)
    # The loss scale of float16 is inside already.
    twin.compile(optimizer=optimizer, auto_scale_loss=False, **compile_arguments)
    return twin
