"""TensorFlow's SavedModel: a folder, for TensorFlow Serving and everything that reads its graphs.

Used in Python:

    loaded = tensorflow.saved_model.load("dogs")
    loaded.signatures["serving_default"](image=images)["probabilities"]
    loaded.signatures["class_names"]()["class_names"]
"""

import json
from pathlib import Path

import keras
import numpy as np

from finegrain.exporting.format import Format
from finegrain.exporting.served import IMAGE, PROBABILITIES, ModelCard
from finegrain.tensor import Tensor

SERVE = "serving_default"
CLASS_NAMES = "class_names"
# Where TensorFlow Serving leaves alone what else a model brings.
CARD = Path("assets.extra", "card.json")


def write_saved_model(model: keras.Model, card: ModelCard, path: Path) -> None:
    """Write the folder. Of the model only graph and variables, none of Keras's layers."""
    import tensorflow

    def serve(image: Tensor) -> Tensor:
        return model(image, training=False)

    def class_names() -> dict[str, Tensor]:
        return {CLASS_NAMES: tensorflow.constant(card.classes)}

    pixels = tensorflow.TensorSpec((None, *model.input_shape[1:]), "uint8", name=IMAGE)
    graph = tensorflow.function(serve).get_concrete_function(pixels)
    kept = tensorflow.Module()
    kept.weights = list(graph.variables)
    names = tensorflow.function(class_names).get_concrete_function()
    signatures = {SERVE: graph, CLASS_NAMES: names}
    tensorflow.saved_model.save(kept, str(path), signatures=signatures)
    (path / CARD).parent.mkdir()
    (path / CARD).write_text(json.dumps(card.texts(), ensure_ascii=False, indent=1), "utf-8")


def _answer(path: Path, images: np.ndarray) -> np.ndarray:
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    return loaded.signatures[SERVE](**{IMAGE: tensorflow.constant(images)})[PROBABILITIES].numpy()


def _classes(path: Path) -> list[str]:
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    return [name.decode() for name in loaded.signatures[CLASS_NAMES]()[CLASS_NAMES].numpy()]


FORMAT = Format("saved_model", "", (), write_saved_model, _answer, _classes)
