"""An average of the weights that a training went through, kept beside them."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from finegrain.tensor import Tensor


class AveragedOptimizer(keras.optimizers.Optimizer):
    """Wraps an optimizer: after each of its steps the average moves towards the weights.

    Polyak & Juditsky 1992, SIAM Journal on Control and Optimization 30; exponential as in Tarvainen
    & Valpola 2017, arXiv 1703.01780, section 2. In the first steps the average is a short one, so
    that it forgets the weights it began with: of step t it keeps at most (1 + t) / (10 + t).

    Keras's own `use_ema` would give each of a `GroupedOptimizer`'s optimizers averages of its own,
    keeps 99 parts of 100 of the first weights after the first step, and puts the averages into the
    model for good at the end of every `fit`.

    To be built before the first step, while the weights are those that the average begins with.

    Args:
        wrapped: the optimizer that takes the steps, built or not.
        momentum: share of the average that a step keeps, 0 to 1.
    """

    def __init__(
        self, wrapped: keras.optimizers.Optimizer, momentum: float, name: str = "averaged"
    ):
        # The rate is the wrapped optimizer's; Keras wants one.
        super().__init__(learning_rate=0.0, name=name)
        self.wrapped = wrapped
        self.momentum = momentum

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        self.wrapped.build(variables)
        super().build(variables)
        self.averages = [self.add_variable_from_reference(v, "average") for v in variables]
        for average, variable in zip(self.averages, variables, strict=True):
            average.assign(_values(variable))

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

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        self.wrapped.finalize_variable_values(var_list)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        # Keras has the wrapped optimizer save its own.
        for number, variable in enumerate(self._variables):
            store[str(number)] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        for number, variable in enumerate(self._variables):
            variable.assign(store[str(number)])

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """One step of the wrapped optimizer, and then of the average."""
        variables = list(trainable_variables or self._trainable_variables)
        step = ops.cast(self.iterations, "float32")
        kept = ops.minimum(self.momentum, (1 + step) / (10 + step))
        self.wrapped.apply(grads, variables)
        for variable in variables:
            average = self.averages[self._get_variable_index(variable)]
            average.assign(kept * average + (1 - kept) * variable)

    def swap(self) -> None:
        """Exchange the model's weights and their averages, to the bit; once more undoes it."""
        for variable, average in zip(self._trainable_variables, self.averages, strict=True):
            weights = _values(variable)
            variable.assign(_values(average))
            average.assign(weights)


def _values(variable: keras.Variable) -> np.ndarray:
    """A copy: PyTorch's own would change with the variable, and JAX's be one buffer for two."""
    return np.array(ops.convert_to_numpy(variable))


def swap_averages(model: keras.Model) -> None:
    """Exchange the weights of a compiled model and their averages, if it keeps any.

    In a checkpoint the two stand swapped: the model has the averages, which is what whoever loads
    it wants, and the optimizer has the weights that training goes on from.
    """
    # Under float16 the one that scales the loss stands around it.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if isinstance(optimizer, AveragedOptimizer):
        optimizer.swap()
