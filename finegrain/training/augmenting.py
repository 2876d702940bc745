"""A training model with the augmentation in front, as layers on the device."""

import keras

from finegrain.images.augmentation import Augmentation
from finegrain.models.layers import RandomAffine, RandomColour

AUGMENT = "augment"


def augmenting(model: keras.Model, augmentation: Augmentation) -> keras.Model:
    """A model of the same layers and outputs that changes its images at random in training.

    Args:
        model: training model.
        augmentation: ranges of the changes.
    """
    image = keras.Input(model.get_layer("image").output.shape[1:], name="image")
    changed = RandomAffine(
        augmentation.rotation,
        augmentation.shear,
        augmentation.zoom,
        augmentation.horizontal_flip,
        name=AUGMENT,
    )(image)
    if augmentation.changes_colours:
        colours = RandomColour(
            augmentation.brightness, augmentation.contrast, augmentation.saturation
        )
        changed = colours(changed)
    if not isinstance(model.input, dict):
        return keras.Model(image, model.call(changed), name=model.name)
    others = {
        name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
        for name, tensor in model.input.items()
        if name != "image"
    }
    outputs = model.call({"image": changed, **others})
    return keras.Model({"image": image, **others}, outputs, name=model.name)
