"""OpenVINO's IR: an .xml file with a .bin beside it, for Intel's processors.

Used in Python:

    model = openvino.Core().compile_model("dogs.xml", "CPU")
    model(images)["probabilities"]
    json.loads(openvino.Core().read_model("dogs.xml").get_rt_info(["finegrain", "classes"]).astype(str))
"""  # noqa: E501

import json
from pathlib import Path

import keras
import numpy as np

from finegrain.exporting.format import Format
from finegrain.exporting.served import IMAGE, PROBABILITIES, ModelCard
from finegrain.inference.conversion import converted, load_openvino

INFO = "finegrain"


def _write(model: keras.Model, card: ModelCard, path: Path) -> None:
    openvino = load_openvino()
    bare = keras.Model(model.input, model.output[PROBABILITIES])
    graph = converted(bare, "uint8")
    graph.input(0).get_tensor().set_names({IMAGE})
    graph.output(0).get_tensor().set_names({PROBABILITIES})
    for name, text in card.texts().items():
        graph.set_rt_info(text, [INFO, name])
    openvino.save_model(graph, str(path), compress_to_fp16=False)


def _answer(path: Path, images: np.ndarray) -> np.ndarray:
    openvino = load_openvino()
    # Rounding to bfloat16, which some CPUs do unasked, is no fault of the file.
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled({IMAGE: images})[PROBABILITIES])


def _classes(path: Path) -> list[str]:
    graph = load_openvino().Core().read_model(str(path))
    return json.loads(graph.get_rt_info([INFO, "classes"]).astype(str))


FORMAT = Format("openvino", ".xml", ("openvino",), _write, _answer, _classes)
