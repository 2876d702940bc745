"""A model trained in mixed precision, in full precision."""

from typing import Any

import keras


def in_full_precision(model: keras.Model) -> keras.Model:
    """A copy of the model whose layers all compute in float32.

    Weights are float32 under every mixed policy, so nothing is lost or gained but the rounding
    on the way.

    Args:
        model: functional model of registered layers.

    Returns:
        An uncompiled model with weights of its own.
    """
    # What was never compiled has neither optimizer nor losses in its config.
    bare = keras.Model(model.input, model.output, name=model.name)
    full = keras.Model.from_config(_in_float32(bare.get_config()))
    full.set_weights(bare.get_weights())
    return full


def _in_float32(config: Any) -> Any:
    """The config with every dtype policy in it replaced, however deep it stands."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {"name": "float32"}}
        return {key: _in_float32(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_in_float32(value) for value in config)
    return config
