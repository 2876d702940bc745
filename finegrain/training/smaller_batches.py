"""Out of GPU memory: go on with the batch in parts."""

import gc
import re
from collections.abc import Callable, Iterator

import keras
import numpy as np

from finegrain.errors import UserError

# TensorFlow's ResourceExhaustedError and PyTorch's OutOfMemoryError, by name, since a backend
# need not be installed to be asked for.
TYPES = {"ResourceExhaustedError", "OutOfMemoryError"}
# What JAX's one error type, cuDNN, cuBLAS and CUDA say of it.
SENTENCES = re.compile(
    r"RESOURCE_EXHAUSTED|out of memory|OOM when allocating|CUDA_ERROR_OUT_OF_MEMORY"
    r"|CUD?NN_STATUS_ALLOC_FAILED|CUBLAS_STATUS_ALLOC_FAILED|Dst tensor is not initialized",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device ran out of memory, wherever in the chain of causes that is said.

    A plain `MemoryError` is none: it comes from the photographs of the whole batch, which
    computing it in parts makes no smaller.
    """
    return any(_says_so(one) for one in _chain(error))


def _says_so(error: BaseException) -> bool:
    if isinstance(error, UserError | OSError | MemoryError):
        return False
    return type(error).__name__ in TYPES or bool(SENTENCES.search(str(error)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        # Keras hides the original with `raise ... from None`.
        error = error.__cause__ or error.__context__


def fit_in_memory(
    fit: Callable[[int], None], restore: Callable[[], None], batch_size: int, most_parts: int
) -> int:
    """Train with whole batches, or in twice as many parts each time the GPU memory runs out.

    Args:
        fit: trains to the end, each batch in the given number of parts.
        restore: puts model and optimizer back to where the last finished epoch left them; a
            failed step may have left them anywhere.
        most_parts: into which a batch can be cut.

    Returns:
        The parts it ended with.

    Raises:
        UserError: the smallest parts do not fit either.
    """
    parts = 1
    while _runs_out(fit, parts):
        images = -(-batch_size // parts)
        if parts >= most_parts:
            raise UserError(
                f"the memory of the GPU does not hold {images} image{'s' * (images > 1)}; give a "
                "smaller --image-size or --backbone, or free the GPU of other programs"
            )
        parts = min(2 * parts, most_parts)
        print(
            f"  notice    the memory of the GPU does not hold {images} images; going on with each "
            f"batch of {batch_size} in {parts} parts whose gradients are added up",
            flush=True,
        )
        restore()
    return parts


def _runs_out(fit: Callable[[int], None], parts: int) -> bool:
    try:
        fit(parts)
        return False
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Here the error is gone, and with it the frames that held tensors.
    gc.collect()
    if keras.backend.backend() == "torch":
        import torch

        torch.cuda.empty_cache()
    return True


def keep_state(model: keras.Model) -> list[np.ndarray]:
    """A copy of all of the model's variables in host memory.

    For `fit_in_memory`'s `restore` while no epoch is finished. On JAX a failed `fit` leaves
    variables without values.
    """
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.variables]


def put_state(model: keras.Model, state: list[np.ndarray]) -> None:
    """Give the model the variables that `keep_state` copied."""
    for variable, value in zip(model.variables, state, strict=True):
        variable.assign(value)
