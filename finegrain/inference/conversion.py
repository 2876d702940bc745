"""From a Keras model of any backend to a graph that OpenVINO can compile.

    python -m finegrain.inference.conversion model.keras FOLDER uint8

writes the graph to a folder in a process of its own on the TensorFlow backend, for a model of
another backend.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

import finegrain
from finegrain.errors import one_line
from finegrain.inference.openvino_engine import load_openvino
from finegrain.quiet import stderr_aside
from finegrain.tensor import Tensor

if TYPE_CHECKING:
    import openvino

MODULE = "finegrain.inference.conversion"
PATIENCE = 600


class ConversionFailed(Exception):
    """The model cannot be converted; the message is the reason, in words for the user."""


def converted(model: keras.Model, dtype: str) -> "openvino.Model":
    """The forward pass of a model as OpenVINO reads it, outputs in the model's order.

    OpenVINO understands TensorFlow's graphs. On another backend the model goes through a file
    to a process of its own, where Keras runs on TensorFlow. The model has one input (B, H, W, 3)
    and is made of Keras's layers and those of this project; the dtype is that of the pixels the
    graph takes, `uint8` or `float32`. `ConversionFailed` where TensorFlow is not installed, or
    one of the two knows no way.
    """
    openvino = load_openvino()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary, "graph")
        try:
            if keras.backend.backend() == "tensorflow":
                _write_graph(model, folder, dtype)
            else:
                _write_in_other_process(model, folder, dtype)
            graph = openvino.Core().read_model(folder)
            # In the model's order, whatever order it was read in.
            places = range(len(graph.outputs))
            ordered = [graph.output(_name(place)).get_node().input_value(0) for place in places]
            return openvino.Model(ordered, graph.get_parameters(), graph.get_friendly_name())
        except ConversionFailed:
            raise
        except Exception as error:
            # TensorFlow, OpenVINO and the disk fail in their own ways; Keras can do without.
            raise ConversionFailed(one_line(error)) from error


def _write_graph(model: keras.Model, folder: Path, dtype: str) -> None:
    """Write TensorFlow's graph of the forward pass in inference mode; the cast is in it.

    OpenVINO's own `convert_model` takes twice the time, and it sends statistics of use to its
    makers without asking. Tracking the variables alone, not the Keras layers around them, is
    three times faster still, and OpenVINO finds all of them.
    """
    import tensorflow

    def forward(images: Tensor) -> dict[str, Tensor]:
        outputs = model(images, training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        # Named by place: a signature forgets the order.
        return {_name(place): output for place, output in enumerate(outputs)}

    pixels = tensorflow.TensorSpec((None, *model.input_shape[1:]), dtype)
    save_graph(tensorflow.function(forward).get_concrete_function(pixels), folder)


def save_graph(graph: Any, folder: Path, **others: Any) -> None:
    """Save a TensorFlow function, and others beside it, with the first one's variables alone."""
    import tensorflow

    kept = tensorflow.Module()
    kept.weights = list(graph.variables)
    tensorflow.saved_model.save(kept, str(folder), {"serving_default": graph, **others})


def _write_in_other_process(model: keras.Model, folder: Path, dtype: str) -> None:
    file = folder.parent / "model.keras"
    with stderr_aside():
        # Keras looks up TensorFlow's types to save a model of whatever backend.
        model.save(file)
    home = str(Path(finegrain.__file__).parents[1])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    surroundings = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    command = [sys.executable, "-m", MODULE, str(file), str(folder), dtype]
    done = subprocess.run(
        command, env=surroundings, capture_output=True, text=True, timeout=PATIENCE
    )
    if done.returncode != 0:
        raise ConversionFailed(one_line(done.stderr))


def _name(place: int) -> str:
    """Name of an output in the graph, by its place among the model's outputs."""
    return f"answer_{place}"


def main(file: str, folder: str, dtype: str) -> None:
    from finegrain.models import layers  # noqa: F401  registers what a saved model is made of

    model = keras.saving.load_model(file, compile=False, safe_mode=True)
    _write_graph(model, Path(folder), dtype)


if __name__ == "__main__":
    main(*sys.argv[1:])
