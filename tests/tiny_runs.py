"""Finished runs of networks so small that they cost nothing."""

from pathlib import Path

import keras

from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import softmax_model
from finegrain.runs.run_folder import RunFolder


def tiny_run(
    folder: Path, classes: list[str], size: tuple[int, int], seed: int = 4, digest: str = "0" * 64
) -> Path:
    """A finished softmax run of a network of one layer, which was never trained.

    Args:
        folder: to make.
        classes: class names.
        size: (height, width) of the input.
        seed: of the weights.
        digest: of the data set it claims to be trained on.
    """
    keras.utils.set_random_seed(seed)
    image = keras.Input((*size, 3))
    features = keras.layers.Conv2D(16, 5, strides=3)(image)
    backbone = keras.Model(image, features, name="backbone")
    config = {
        "recipe": "softmax",
        "settings": {},
        "backbone": "tiny",
        "image_size": list(size),
        "data": {"digest": digest, "class_counts": [1] * len(classes), "folder": "absent"},
        "weights": {"digest": "0" * 64},
    }
    model = softmax_model(backbone, find_backbone("mobilenet_v2"), len(classes))
    RunFolder.start(folder, config, classes).save_model(model)
    return folder
