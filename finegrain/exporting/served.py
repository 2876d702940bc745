"""What an exported model takes, answers and says of itself."""

import json
from dataclasses import asdict, dataclass

import keras

from finegrain.runs.finished_run import FinishedRun

IMAGE = "image"
PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class ModelCard:
    """What stands inside an exported model for those who use it.

    Attributes:
        classes: class names in the order of the probabilities.
        image_size: (height, width) in pixels.
        category_ids: what a leaderboard calls the classes, where the data set came from a JSON.
        input: how photographs become the input.
        output: what comes out.
    """

    classes: list[str]
    image_size: tuple[int, int]
    category_ids: list[str] | None
    input: str
    output: str

    def texts(self) -> dict[str, str]:
        """Each entry as text; lists as JSON."""
        entries = {name: value for name, value in asdict(self).items() if value is not None}
        return {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in entries.items()
        }


def model_card(run: FinishedRun) -> ModelCard:
    """The card of a run's classifier."""
    height, width = run.image_size
    return ModelCard(
        classes=run.classes,
        image_size=run.image_size,
        category_ids=run.category_ids,
        input=f"{IMAGE}: uint8 (batch, {height}, {width}, 3), RGB, 0 to 255. Turn a photograph "
        "upright (EXIF) and squeeze it to this size, not keeping its aspect ratio, with a bilinear "
        "filter that averages when it shrinks (Pillow's). Scaling of pixels is inside the model.",
        output=f"{PROBABILITIES}: float32 (batch, {len(run.classes)}), in the order of classes",
    )


def served_model(classifier: keras.Model) -> keras.Model:
    """The classifier on bytes: nobody can feed it pixels of 0 to 1 by mistake.

    Args:
        classifier: (B, H, W, 3) float32, RGB 0 to 255 -> (B, C) probabilities.

    Returns:
        Model: `image` (B, H, W, 3) uint8 -> dict of `probabilities` (B, C) float32.
    """
    image = keras.Input(classifier.input_shape[1:], dtype="uint8", name=IMAGE)
    return keras.Model(image, {PROBABILITIES: classifier(image)}, name="served")
