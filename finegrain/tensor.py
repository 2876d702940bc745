"""The names that annotations give to tensors and their shapes."""

from typing import Any, TypeAlias

# Keras has no types of its own, and a tensor is TensorFlow's, JAX's, PyTorch's or symbolic.
Tensor: TypeAlias = Any
# None where the size is not known yet, as that of the batch.
Shape: TypeAlias = tuple[int | None, ...]
