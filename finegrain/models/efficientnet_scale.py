"""EfficientNet's input scale, kept in its weights instead of in a layer that comes and goes.

`keras.applications.EfficientNetB*` adds a Rescaling by 1 / sqrt(deviation) behind its Normalization
only where it is called with `weights="imagenet"`. The same weights read from a file, or a
checkpoint taken up in a network built without weights, would then see inputs of half the size.
"""

import keras

# Standard deviations of ImageNet's channels, RGB in 0 to 1, as Keras divides by their root.
DEVIATIONS = (0.229, 0.224, 0.225)


def fold_input_scale(backbone: keras.Model) -> None:
    """Move the missing scale into the variance of an EfficientNet's Normalization.

    Args:
        backbone: EfficientNet B0 to B7 built without the second Rescaling, changed in place; one
            with fresh statistics (variance 1) is left as it is.
    """
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization):
            variance = keras.ops.convert_to_numpy(layer.adapt_variance)
            if (variance != 1).all():
                layer.adapt_variance.assign(variance * DEVIATIONS)
                layer.finalize_state()
