"""Fresh weights to measure speed with, where there are no pretrained ones.

    python benchmarks/fresh_weights.py --data data/dogs --output fresh.weights.h5

A backbone as Keras starts it lets its activations shrink a little with every layer, in Xception to
a millionth, where float16 runs out and some processors slow down. Pretrained ones keep them near 1,
and so do these: every BatchNormalization gets the mean and variance that it meets on some of the
photographs. The features stay random, so what is learnt from them says nothing of the recipe.
"""

from dataclasses import dataclass
from pathlib import Path

from finegrain.command import run_command
from finegrain.flags import Count, ImageSize, Seed
from finegrain.quiet import load_keras
from finegrain.whole_files import written_whole


@dataclass
class Settings:
    """Write a backbone's fresh weights."""

    # data set folder made by img2keras.py
    data: Path
    # .weights.h5 file to write
    output: Path
    # xception, mobilenet_v2 or mobilenet_v2_0.35
    backbone: str = "xception"
    # side of the square the images are resized to, in pixels
    image_size: ImageSize = 299
    # photographs that the statistics are taken from
    photos: Count = 16
    # of the weights and of the photographs
    seed: Seed = 0


def main(settings: Settings) -> None:
    load_keras()
    import keras
    import numpy as np
    from side_by_side.two_towers import build_backbone, preprocessing

    from finegrain.decode import read_pixels
    from finegrain.frame import Frame

    keras.utils.set_random_seed(settings.seed)
    backbone = build_backbone(settings.backbone, "none", settings.image_size)
    photos = sorted((settings.data / "train").glob("*/*"))
    chosen = np.random.default_rng(settings.seed).permutation(len(photos))[: settings.photos]
    frame = Frame(settings.image_size, settings.image_size)
    pixels = np.stack([read_pixels(photos[index], frame) for index in chosen]).astype("float32")
    norms = [
        layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    backbone(preprocessing(settings.backbone)(pixels), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    with written_whole(settings.output) as beside:
        backbone.save_weights(beside)


if __name__ == "__main__":
    run_command(main, Settings)
