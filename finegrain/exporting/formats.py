"""The formats that a run can be exported to, and how each is used in Python.

ONNX: one file, for ONNX Runtime and many other engines.

    session = onnxruntime.InferenceSession("dogs.onnx")
    session.run(["probabilities"], {"image": images})
    json.loads(session.get_modelmeta().custom_metadata_map["classes"])

TensorFlow's SavedModel: a folder, for TensorFlow Serving and everything that reads its graphs.

    loaded = tensorflow.saved_model.load("dogs")
    loaded.signatures["serving_default"](image=images)["probabilities"]
    loaded.signatures["class_names"]()["class_names"]

TFLite (LiteRT): one file, for phones and small boards. The names are appended as a ZIP archive, as
TFLite's metadata does with associated files; programs that know nothing of it read the model all
the same.

    interpreter = ai_edge_litert.interpreter.Interpreter("dogs.tflite")
    interpreter.get_signature_runner("serving_default")(image=images)["probabilities"]
    zipfile.ZipFile("dogs.tflite").read("labels.txt")

OpenVINO's IR: an .xml file with a .bin beside it, for Intel's processors.

    model = openvino.Core().compile_model("dogs.xml", "CPU")
    model(images)["probabilities"]
    info = openvino.Core().read_model("dogs.xml").get_rt_info(["finegrain", "classes"])
    json.loads(info.astype(str))
"""

import json
import logging
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from finegrain.exporting.export import IMAGE, PROBABILITIES, Format, ModelCard
from finegrain.inference.conversion import converted, save_graph
from finegrain.inference.openvino_engine import load_openvino
from finegrain.tensor import Tensor

SERVE = "serving_default"
CLASS_NAMES = "class_names"
# Where TensorFlow Serving leaves alone what else a model brings.
EXTRA_CARD = Path("assets.extra", "card.json")
LABELS, CARD = "labels.txt", "card.json"
INFO = "finegrain"


def _write_onnx(model: keras.Model, card: ModelCard, path: Path) -> None:
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


def _onnx_session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _onnx_answer(path: Path, images: np.ndarray) -> np.ndarray:
    return _onnx_session(path).run([PROBABILITIES], {IMAGE: images})[0]


def _onnx_classes(path: Path) -> list[str]:
    return json.loads(_onnx_session(path).get_modelmeta().custom_metadata_map["classes"])


def _write_saved_model(model: keras.Model, card: ModelCard, path: Path) -> None:
    """Of the model only graph and variables, none of Keras's layers."""
    import tensorflow

    def serve(image: Tensor) -> Tensor:
        return model(image, training=False)

    def class_names() -> dict[str, Tensor]:
        return {CLASS_NAMES: tensorflow.constant(card.classes)}

    pixels = tensorflow.TensorSpec((None, *model.input_shape[1:]), "uint8", name=IMAGE)
    names = tensorflow.function(class_names).get_concrete_function()
    graph = tensorflow.function(serve).get_concrete_function(pixels)
    save_graph(graph, path, **{CLASS_NAMES: names})
    (path / EXTRA_CARD).parent.mkdir()
    (path / EXTRA_CARD).write_text(_card_text(card), "utf-8")


def _saved_model_answer(path: Path, images: np.ndarray) -> np.ndarray:
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    return loaded.signatures[SERVE](**{IMAGE: tensorflow.constant(images)})[PROBABILITIES].numpy()


def _saved_model_classes(path: Path) -> list[str]:
    import tensorflow

    loaded = tensorflow.saved_model.load(str(path))
    return [name.decode() for name in loaded.signatures[CLASS_NAMES]()[CLASS_NAMES].numpy()]


def _write_tflite(model: keras.Model, card: ModelCard, path: Path) -> None:
    import tensorflow

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary, "graph")
        _write_saved_model(model, card, folder)
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(
            str(folder), signature_keys=[SERVE]
        )
        path.write_bytes(converter.convert())
    with zipfile.ZipFile(path, "a") as archive:
        # One a line, so a name may not bring lines of its own; the card has it as it is.
        archive.writestr(LABELS, "\n".join(" ".join(name.split("\n")) for name in card.classes))
        archive.writestr(CARD, _card_text(card))


def _tflite_answer(path: Path, images: np.ndarray) -> np.ndarray:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        # TensorFlow still has the older interpreter, and warns of its end.
        import tensorflow

        Interpreter = tensorflow.lite.Interpreter  # noqa: N806
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = Interpreter(str(path))
    return np.array(interpreter.get_signature_runner(SERVE)(**{IMAGE: images})[PROBABILITIES])


def _tflite_classes(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(json.loads(archive.read(CARD))["classes"])


def _write_openvino(model: keras.Model, card: ModelCard, path: Path) -> None:
    bare = keras.Model(model.input, model.output[PROBABILITIES])
    graph = converted(bare, "uint8")
    graph.input(0).get_tensor().set_names({IMAGE})
    graph.output(0).get_tensor().set_names({PROBABILITIES})
    for name, text in card.texts().items():
        graph.set_rt_info(text, [INFO, name])
    load_openvino().save_model(graph, str(path), compress_to_fp16=False)


def _openvino_answer(path: Path, images: np.ndarray) -> np.ndarray:
    # Rounding to bfloat16, which some CPUs do unasked, is no fault of the file.
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = load_openvino().Core().compile_model(str(path), "CPU", precision)
    return np.array(compiled({IMAGE: images})[PROBABILITIES])


def _openvino_classes(path: Path) -> list[str]:
    graph = load_openvino().Core().read_model(str(path))
    return json.loads(graph.get_rt_info([INFO, "classes"]).astype(str))


def _card_text(card: ModelCard) -> str:
    return json.dumps(card.texts(), ensure_ascii=False, indent=1)


ONNX_PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
FORMATS = {
    format.name: format
    for format in (
        Format("onnx", ".onnx", ONNX_PACKAGES, _write_onnx, _onnx_answer, _onnx_classes),
        Format(
            "saved_model", "", (), _write_saved_model, _saved_model_answer, _saved_model_classes
        ),
        Format("tflite", ".tflite", (), _write_tflite, _tflite_answer, _tflite_classes),
        Format(
            "openvino", ".xml", ("openvino",), _write_openvino, _openvino_answer, _openvino_classes
        ),
    )
}
