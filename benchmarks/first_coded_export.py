"""The export of embeddings as first coded: `predict` over an `ImageDataGenerator`, per backbone.

    python benchmarks/first_coded_export.py --data data/pets --output runs/plain \\
        --backbones mobilenet_v2 --image-sizes 224 --weights FILE

The counterpart of `recipes/export_features.py` in `export_speed.py`, in plain Keras, as the recipe
of dogs against cats was written: for each backbone its network with global average pooling is
built, `flow_from_directory` decodes the images in one thread, `predict` answers, and
`gap_<backbone>.h5` gets `train` and `label`, as arrays that stand in memory whole.
"""

from dataclasses import dataclass
from pathlib import Path

from finegrain.command import run_command
from finegrain.flags import BatchSize, ImageSize
from finegrain.quiet import load_keras


@dataclass
class Settings:
    """Export the training images of a data set with one or several backbones."""

    # data set folder made by img2keras.py
    data: Path
    # folder for the files
    output: Path
    # backbones, the side of their input in pixels, and their weights: imagenet, none or a file
    backbones: tuple[str, ...]
    image_sizes: tuple[ImageSize, ...]
    weights: tuple[str, ...]
    # images a batch
    batch_size: BatchSize = 32


def main(settings: Settings) -> None:
    load_keras()
    import h5py
    import keras
    from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator
    from side_by_side.two_towers import build_backbone, preprocessing

    settings.output.mkdir(parents=True, exist_ok=True)
    wanted = zip(settings.backbones, settings.image_sizes, settings.weights, strict=True)
    for name, side, weights in wanted:
        backbone = build_backbone(name, weights, side)
        pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
        flow = ImageDataGenerator(preprocessing_function=preprocessing(name)).flow_from_directory(
            settings.data / "train",
            target_size=(side, side),
            batch_size=settings.batch_size,
            shuffle=False,
            interpolation="bilinear",
        )
        embeddings = keras.Model(backbone.input, pooled).predict(flow, verbose=2)
        with h5py.File(settings.output / f"gap_{name}.h5", "w") as file:
            file.create_dataset("train", data=embeddings)
            file.create_dataset("label", data=flow.classes)


if __name__ == "__main__":
    run_command(main, Settings)
