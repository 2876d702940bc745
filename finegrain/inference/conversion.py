"""From a Keras model of any backend to a graph that OpenVINO can compile."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import keras

import finegrain
from finegrain.inference import saved_graph
from finegrain.inference.openvino_import import load_openvino
from finegrain.quiet import stderr_aside

if TYPE_CHECKING:
    import openvino

PATIENCE = 600
FOLDER = "graph"


class ConversionFailed(Exception):
    """The model cannot be converted; the message is the reason, in words for the user."""


def converted(model: keras.Model, dtype: str) -> "openvino.Model":
    """The forward pass of a model as OpenVINO reads it, outputs in the model's order.

    OpenVINO understands TensorFlow's graphs. On another backend the model goes through a file
    to a process of its own, where Keras runs on TensorFlow.

    Args:
        model: one input (B, H, W, 3), made of Keras's layers and those of this project.
        dtype: of the pixels the graph takes, `uint8` or `float32`.

    Raises:
        ConversionFailed: TensorFlow is not installed, or one of the two knows no way.
    """
    openvino = load_openvino()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary, FOLDER)
        try:
            if keras.backend.backend() == "tensorflow":
                saved_graph.write_graph(model, folder, dtype)
            else:
                _write_in_other_process(model, folder, dtype)
            graph = openvino.Core().read_model(folder)
            return _in_order(graph)
        except ConversionFailed:
            raise
        except Exception as error:
            # TensorFlow, OpenVINO and the disk fail in their own ways; Keras can do without.
            raise ConversionFailed(one_line(error)) from error


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
    command = [sys.executable, "-m", saved_graph.__name__, str(file), str(folder), dtype]
    done = subprocess.run(
        command, env=surroundings, capture_output=True, text=True, timeout=PATIENCE
    )
    if done.returncode != 0:
        raise ConversionFailed(one_line(done.stderr))


def _in_order(graph: "openvino.Model") -> "openvino.Model":
    """The same graph with its outputs in the model's order, whatever order it was read in."""
    ordered = [
        graph.output(saved_graph.output_name(place)).get_node().input_value(0)
        for place in range(len(graph.outputs))
    ]
    return load_openvino().Model(ordered, graph.get_parameters(), graph.get_friendly_name())


def one_line(error: object) -> str:
    """The last line of a message that says something, cut short."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
