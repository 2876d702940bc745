"""ONNX: one file, for ONNX Runtime and many other engines.

Used in Python:

    session = onnxruntime.InferenceSession("dogs.onnx")
    session.run(["probabilities"], {"image": images})
    json.loads(session.get_modelmeta().custom_metadata_map["classes"])
"""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from finegrain.exporting.format import Format
from finegrain.exporting.served import IMAGE, PROBABILITIES, ModelCard


def _write(model: keras.Model, card: ModelCard, path: Path) -> None:
    import onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Keras lends tf2onnx a name that NumPy has dropped.
        warnings.filterwarnings("ignore", category=FutureWarning)
        pixels = keras.InputSpec("uint8", (None, *model.input_shape[1:]), name=IMAGE)
        model.export(str(path), format="onnx", verbose=False, input_signature=[pixels])
    written = onnx.load(str(path))
    for value in (*written.graph.input, *written.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    written.doc_string = "Exported by finegrain; see the metadata for classes, input and output."
    onnx.helper.set_model_props(written, card.texts())
    onnx.checker.check_model(written)
    onnx.save(written, str(path))


def _session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _answer(path: Path, images: np.ndarray) -> np.ndarray:
    return _session(path).run([PROBABILITIES], {IMAGE: images})[0]


def _classes(path: Path) -> list[str]:
    return json.loads(_session(path).get_modelmeta().custom_metadata_map["classes"])


FORMAT = Format("onnx", ".onnx", ("tf2onnx", "onnx", "onnxruntime"), _write, _answer, _classes)
