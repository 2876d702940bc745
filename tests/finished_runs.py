"""Finished runs without the training: a small network of random weights in a run folder."""

from pathlib import Path

import keras
import numpy as np

from finegrain.datasets.manifest import open_data_set
from finegrain.models.backbone_table import find_backbone
from finegrain.models.classifier import softmax_model
from finegrain.models.multi_loss import multi_loss_model
from finegrain.runs.run_folder import RunFolder, describe_data

SIDE = 32


def small_backbone() -> keras.Model:
    """Two convolutions, which every runtime compiles soon."""
    image = keras.Input((SIDE, SIDE, 3))
    hidden = keras.layers.Conv2D(8, 4, strides=4, activation="relu")(image)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.SeparableConv2D(16, 3, padding="same", activation="relu")(hidden)
    return keras.Model(image, hidden, name="backbone")


def make_run(
    folder: Path, data: Path, recipe: str = "multi-loss", classes: list[str] | None = None
) -> Path:
    """A run folder that `open_finished_run` opens.

    Args:
        folder: to be made.
        data: data set folder.
        recipe: `multi-loss` or `softmax`.
        classes: other names than the data set's.
    """
    keras.utils.set_random_seed(3)
    opened, spec = open_data_set(data), find_backbone("mobilenet_v2")
    build = multi_loss_model if recipe == "multi-loss" else softmax_model
    model = build(small_backbone(), spec, len(opened.classes))
    if recipe == "multi-loss":
        kernel = np.random.default_rng(0).normal(0, 2, (16, 2))
        model.get_layer("same_class").kernel.assign(kernel)
    config = {
        "recipe": recipe,
        "backbone": spec.name,
        "image_size": [SIDE, SIDE],
        "data": describe_data(opened),
        "settings": {},
        "weights": {"digest": "0" * 64},
    }
    run = RunFolder.start(folder, config, classes or opened.classes)
    run.save_model(model)
    return folder
