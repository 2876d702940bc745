"""The weights of one model for another of the same layers."""

import keras


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Give a model the weights of another; a ValueError where their shapes differ.

    A Normalization, with which an EfficientNet begins, computes with constants that it makes of
    its weights; they are made anew, as `load_weights` does and `set_weights` does not.
    """
    target.set_weights(source.get_weights())
    for layer in target._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
