"""Where the backend computes."""

import keras


def computes_on_cpu() -> bool:
    """Whether the Keras backend has neither a GPU nor a TPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow

        # Not the logical devices: to list these starts all GPUs with the settings so far.
        kinds = {device.device_type for device in tensorflow.config.get_visible_devices()}
        return kinds <= {"CPU"}
    if backend == "jax":
        import jax

        return jax.default_backend() == "cpu"
    import torch

    return not (torch.cuda.is_available() or torch.backends.mps.is_available())
