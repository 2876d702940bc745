"""A training model with the augmentation in front, as layers on the device."""

import keras

from finegrain.images.augmentation import Augmentation
from finegrain.models.layers import RandomAffine, RandomColour
from finegrain.models.multi_loss import PARTNER

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
    if PARTNER not in [layer.name for layer in model.layers]:
        return keras.Model(image, model.call(changed), name=model.name)
    partner = keras.Input((), dtype="int32", name=PARTNER)
    inputs = {"image": image, PARTNER: partner}
    return keras.Model(inputs, model.call({"image": changed, PARTNER: partner}), name=model.name)
