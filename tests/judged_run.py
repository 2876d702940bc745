"""A finished run and its data set, made by hand in a second rather than trained."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

CLASSES = ["black & white", "10", "2", "<script>"]
COLOURS = np.array([[128, 128, 128], [30, 200, 40], [40, 60, 210], [220, 40, 30]])
PER_SPLIT = {"train": 12, "valid": 30, "test": 30}
SIZE = (32, 32)
WIDTH = 32
SURER = 8.0


def make_data(folder: Path, splits=PER_SPLIT, seed: int = 0, noise: float = 55.0) -> Path:
    """A data set folder of images of about one colour a class, hard to tell in part."""
    rng, rows = np.random.default_rng(seed), []
    for split, count in splits.items():
        for label, name in enumerate(CLASSES):
            for number in range(count):
                colour = COLOURS[label] + rng.normal(0, noise, 3)
                pixels = np.clip(colour + rng.normal(0, 9, (*SIZE, 3)), 0, 255).astype("uint8")
                path = f"{split}/{name}/{number}.png"
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / path)
                rows.append([path, name, split, *SIZE, f"{len(rows):040x}"])
    columns = ["path", "label", "split", "width", "height", "sha1"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "manifest.csv", index=False)
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    return folder


def tiny_backbone():
    """Two layers in place of a network that takes seconds to load."""
    import keras

    image = keras.Input((*SIZE, 3))
    features = keras.layers.Conv2D(24, 5, 4, activation="relu")(image)
    features = keras.layers.Conv2D(WIDTH, 3, 2, activation="relu")(features)
    return keras.Model(image, features, name="backbone")


def make_run(folder: Path, data_folder: Path, recipe: str = "multi-loss", hidden: int = 0) -> Path:
    """A run whose softmax was fitted on a random backbone's embeddings, and made far too sure."""
    import keras
    from sklearn.linear_model import LogisticRegression

    from finegrain.datasets.manifest import open_data_set
    from finegrain.decode import read_pixels
    from finegrain.frame import Frame
    from finegrain.models.backbone_table import find_backbone
    from finegrain.models.classifier import answering_model, softmax_model
    from finegrain.models.multi_loss import multi_loss_model
    from finegrain.runs.run_folder import RunFolder, describe_data, write_results

    keras.utils.set_random_seed(3)
    data, spec = open_data_set(data_folder), find_backbone("mobilenet_v2_0.35")
    backbone = tiny_backbone()
    if recipe == "multi-loss":
        model = multi_loss_model(backbone, spec, len(CLASSES))
    else:
        model = softmax_model(backbone, spec, len(CLASSES), hidden=hidden)
    images = np.stack([read_pixels(path, Frame(*SIZE)) for path in data.paths("train")])
    below = answering_model(model).predict_on_batch(images)[1]
    mean, scale = below.mean(axis=0), below.std(axis=0) + 1e-3
    fitted = LogisticRegression().fit((below - mean) / scale, data.labels("train"))
    kernel = SURER * fitted.coef_.T / scale[:, None]
    model.get_layer("category").set_weights([kernel, SURER * fitted.intercept_ - mean @ kernel])
    if recipe == "multi-loss":
        kernel = np.zeros((below.shape[1], 2), "float32")
        kernel[:, 1] = -1 / below.var() / below.shape[1]
        model.get_layer("same_class").set_weights([kernel, np.array([0, 1], "float32")])
    config = {
        "recipe": recipe,
        "settings": {"batch_size": 16, "seed": 0},
        "backbone": spec.name,
        "image_size": list(SIZE),
        "data": describe_data(data),
        "weights": {"name": "none", "digest": "0" * 64},
    }
    run = RunFolder.start(folder, config, data.classes)
    run.save_model(model)
    write_results(run, {"model_from": "2-unfrozen", "stages": {}})
    return folder
