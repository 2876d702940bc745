"""A model's inference graph in a folder, in TensorFlow's format, which OpenVINO reads.

    python -m finegrain.inference.saved_graph model.keras FOLDER uint8

does it in a process of its own on the TensorFlow backend, for a model of another backend.
"""

import sys
from pathlib import Path

import keras

from finegrain.tensor import Tensor


def write_graph(model: keras.Model, folder: Path, dtype: str) -> None:
    """Write a SavedModel of the forward pass in inference mode.

    OpenVINO's own `convert_model` takes twice the time, and it sends statistics of use to its
    makers without asking. Tracking the variables alone, not the Keras layers around them, is
    three times faster still, and OpenVINO finds all of them.

    Args:
        model: one input (B, H, W, 3); runs on the TensorFlow backend.
        folder: to be made.
        dtype: of the pixels the graph takes, `uint8` or `float32`; the cast is in the graph.
    """
    import tensorflow

    def forward(images: Tensor) -> dict[str, Tensor]:
        outputs = model(images, training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        # Named by place: a signature forgets the order.
        return {output_name(place): output for place, output in enumerate(outputs)}

    pixels = tensorflow.TensorSpec((None, *model.input_shape[1:]), dtype)
    graph = tensorflow.function(forward).get_concrete_function(pixels)
    kept = tensorflow.Module()
    kept.weights = list(graph.variables)
    tensorflow.saved_model.save(kept, str(folder), signatures=graph)


def output_name(place: int) -> str:
    """Name of an output in the graph, by its place among the model's outputs."""
    return f"answer_{place}"


def main(file: str, folder: str, dtype: str) -> None:
    from finegrain.models import layers  # noqa: F401  registers what a saved model is made of

    model = keras.saving.load_model(file, compile=False, safe_mode=True)
    write_graph(model, Path(folder), dtype)


if __name__ == "__main__":
    main(*sys.argv[1:])
