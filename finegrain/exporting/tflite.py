"""TFLite (LiteRT): one file, for phones and small boards.

    interpreter = ai_edge_litert.interpreter.Interpreter("dogs.tflite")
    interpreter.get_signature_runner("serving_default")(image=images)["probabilities"]
    zipfile.ZipFile("dogs.tflite").read("labels.txt")

The names are appended as a ZIP archive, as TFLite's metadata does with associated files; programs
that know nothing of it read the model all the same.
"""

import json
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from finegrain.exporting.format import Format
from finegrain.exporting.saved_model import SERVE, write_saved_model
from finegrain.exporting.served import IMAGE, PROBABILITIES, ModelCard

LABELS = "labels.txt"
CARD = "card.json"


def _write(model: keras.Model, card: ModelCard, path: Path) -> None:
    import tensorflow

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary, "graph")
        write_saved_model(model, card, folder)
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(
            str(folder), signature_keys=[SERVE]
        )
        path.write_bytes(converter.convert())
    with zipfile.ZipFile(path, "a") as archive:
        # One a line, so a name may not bring lines of its own; the card has it as it is.
        archive.writestr(LABELS, "\n".join(" ".join(name.split("\n")) for name in card.classes))
        archive.writestr(CARD, json.dumps(card.texts(), ensure_ascii=False, indent=1))


def _answer(path: Path, images: np.ndarray) -> np.ndarray:
    runner = _interpreter(path).get_signature_runner(SERVE)
    return np.array(runner(**{IMAGE: images})[PROBABILITIES])


def _interpreter(path: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        # TensorFlow still has the older interpreter, and warns of its end.
        import tensorflow

        Interpreter = tensorflow.lite.Interpreter  # noqa: N806
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Interpreter(str(path))


def _classes(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(json.loads(archive.read(CARD))["classes"])


FORMAT = Format("tflite", ".tflite", (), _write, _answer, _classes)
