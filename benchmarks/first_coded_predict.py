"""The submission as first coded: `model.predict` over an `ImageDataGenerator`.

    python benchmarks/first_coded_predict.py --model runs/first/classifier.keras \\
        --classes data/dogs/classes.json --images TEST --output predict.txt

The counterpart of `baidu_dog_test.py` in `recipe_speed.py`, in plain Keras: `flow_from_directory`
decodes the images batch by batch in one thread, `predict` answers, and a line `label<TAB>id` is
written for each. Images must lie in one folder below TEST, as that generator wants them.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from finegrain.command import run_command
from finegrain.flags import BatchSize
from finegrain.quiet import load_keras


@dataclass
class Settings:
    """Predict a folder of images with the classifier of first_coded.py."""

    # classifier.keras of first_coded.py
    model: Path
    # classes.json of the data set it was trained on
    classes: Path
    # folder that holds the folder of images
    images: Path
    # submission file to write
    output: Path
    # whose scaling of pixels
    backbone: str = "xception"
    # images a batch
    batch_size: BatchSize = 32


def main(settings: Settings) -> None:
    load_keras()
    import keras
    from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator
    from side_by_side.two_towers import preprocessing

    model = keras.saving.load_model(settings.model, compile=False)
    flow = ImageDataGenerator(
        preprocessing_function=preprocessing(settings.backbone)
    ).flow_from_directory(
        settings.images,
        target_size=model.input_shape[1:3],
        batch_size=settings.batch_size,
        class_mode=None,
        shuffle=False,
        interpolation="bilinear",
    )
    classes = json.loads(settings.classes.read_text(encoding="utf-8"))
    answers = model.predict(flow, verbose=2).argmax(axis=1)
    lines = [
        f"{classes[answer]}\t{Path(name).stem}"
        for answer, name in zip(answers, flow.filenames, strict=True)
    ]
    settings.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main, Settings)
