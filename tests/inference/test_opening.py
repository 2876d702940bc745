"""Which engine is opened, what it says, and that its answers are Keras's."""

import sys

import keras
import numpy as np
import pytest

from finegrain.device import Device
from finegrain.inference import opening, openvino_engine
from finegrain.inference.opening import PAYING_PIXELS, open_inference
from finegrain.inference.openvino_engine import OpenVINOEngine


def answers_one_by_one(model, images):
    """The slow way: each image by itself, each output's rows stacked."""
    rows = [model(image[None].astype("float32"), training=False) for image in images]
    return [
        np.concatenate([keras.ops.convert_to_numpy(row[k]) for row in rows])
        for k in range(len(rows[0]))
    ]


def assert_close(answers, expected, error):
    assert len(answers) == len(expected)
    for answer, right in zip(answers, expected, strict=True):
        assert answer.shape == right.shape and answer.dtype == np.float32
        assert np.linalg.norm(answer - right) <= error * np.linalg.norm(right)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("bfloat16, error", [(True, 0.02), (False, 1e-5)])
def test_all_outputs_of_any_batch(openvino, network, images, dtype, bfloat16, error):
    pixels = images.astype(dtype)
    if dtype == "float32":
        pixels = pixels * np.float32(0.99)
    opened = open_inference(network, pixels, bfloat16=bfloat16)
    assert opened.compute.name.startswith("OpenVINO 20")
    expected = answers_one_by_one(network, pixels)
    assert min(np.ptp(right, axis=0).max() for right in expected) > 0.05
    for count in (1, 17, 2, 3, 8):
        assert_close(opened.run(pixels[:count]), [right[:count] for right in expected], error)


def test_answers_are_not_overwritten_by_the_next_batch(openvino, network, images):
    opened = open_inference(network, images)
    first = opened.run(images[:5])
    kept = [answer.copy() for answer in first]
    opened.run(images[5:])
    for answer, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(answer, copy)


def test_bytes_fit_a_graph_of_floats_but_fractions_no_graph_of_bytes(openvino, network, images):
    floats = open_inference(network, images.astype("float32"), bfloat16=False)
    assert_close(floats.run(images), answers_one_by_one(network, images), 1e-5)
    with pytest.raises(ValueError, match="must be uint8.*Received: float32"):
        open_inference(network, images).run(images * np.float32(0.5))


def test_weights_are_as_they_were_when_opened(openvino, network, images):
    """A stage may go on training what lies above."""
    model = keras.models.clone_model(network)
    opened = open_inference(model, images)
    before = opened.run(images)
    for variable in model.trainable_variables:
        variable.assign(variable * 2)
    for answer, again in zip(before, opened.run(images), strict=True):
        np.testing.assert_array_equal(answer, again)


def has_bfloat16(openvino):
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def test_the_sentence_tells_engine_and_agreement(openvino, network, images):
    opened = open_inference(network, images)
    precision = "bfloat16" if has_bfloat16(openvino) else "float32"
    assert f", {precision}, " in opened.compute.name and " stream" in opened.compute.name
    assert opened.describe().startswith(
        f"{opened.compute.name}; agrees with Keras on 8 images to 0."
    )
    assert "top class" not in opened.describe()
    classifier = keras.Model(network.input, network.outputs[-1])
    opened = open_inference(classifier, images[:3])
    assert "on 3 images to" in opened.note and "top class the same in 3" in opened.note


def test_float32_on_a_processor_without_bfloat16(openvino, network, images, monkeypatch):
    monkeypatch.setattr(openvino.Core, "get_property", lambda self, *names: ["FP32", "INT8"])
    opened = open_inference(network, images)
    assert ", float32, " in opened.compute.name and "off by" not in opened.note


def test_bfloat16_is_left_where_rounding_hurts(openvino, images):
    """The small difference of two large numbers."""
    if not has_bfloat16(openvino):
        pytest.skip("this CPU does not multiply bfloat16")
    image = keras.Input(images.shape[1:])
    one, other = keras.layers.Conv2D(8, 3), keras.layers.Conv2D(8, 3)
    model = keras.Model(image, one(image) - other(image))
    other.kernel.assign(one.kernel * 1.002)
    opened = open_inference(model, images)
    assert ", float32, " in opened.compute.name
    assert "agrees with Keras on 8 images" in opened.note
    assert "; bfloat16 is off by " in opened.note


def spoiled(run, spoil):
    def run_and_spoil(self, batch):
        return [spoil(answer) for answer in run(self, batch)]

    return run_and_spoil


@pytest.mark.parametrize("spoil, off", [(lambda a: a * 1.1, "10 %"), (lambda a: a * np.nan, "nan")])
def test_keras_where_openvino_disagrees(openvino, network, images, monkeypatch, spoil, off):
    monkeypatch.setattr(OpenVINOEngine, "run", spoiled(OpenVINOEngine.run, spoil))
    opened = open_inference(network, images)
    assert opened.compute.name == "Keras, tensorflow float32"
    assert "OpenVINO disagrees" in opened.note and f"float32 is off by {off}" in opened.note
    assert_close(opened.run(images), answers_one_by_one(network, images), 1e-5)


def test_keras_where_answers_are_not_finite(openvino, network, images, counting_conversions):
    model = keras.models.clone_model(network)
    model.layers[-1].bias.assign([np.nan] * 5)
    opened = open_inference(model, images)
    assert opened.compute.name.startswith("Keras") and "not finite" in opened.note
    assert not counting_conversions


def test_keras_where_openvino_is_missing(network, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    opened = open_inference(network, images)
    assert opened.compute.name.startswith("Keras")
    assert "pip install -r requirements.txt" in opened.note
    assert_close(opened.run(images), answers_one_by_one(network, images), 1e-5)


def test_keras_where_openvino_is_broken(openvino, network, images, monkeypatch):
    def broken():
        raise ImportError("libopenvino.so: cannot open shared object file")

    monkeypatch.setattr(openvino_engine, "load_openvino", broken)
    opened = open_inference(network, images)
    assert opened.compute.name.startswith("Keras")
    assert "OpenVINO does not run (libopenvino.so" in opened.note


def test_keras_where_the_model_cannot_be_converted(openvino, images):
    class Odd(keras.layers.Layer):
        def call(self, x):
            import tensorflow

            return tensorflow.numpy_function(lambda a: a, [x], tensorflow.float32)

        def compute_output_shape(self, shape):
            return shape

    image = keras.Input(images.shape[1:])
    opened = open_inference(keras.Model(image, Odd()(image)), images)
    assert opened.compute.name.startswith("Keras")
    assert "OpenVINO cannot convert the model" in opened.note
    np.testing.assert_array_equal(opened.run(images)[0], images)


def test_keras_on_a_gpu(network, images, monkeypatch, counting_conversions):
    gpu = Device("tensorflow", "gpu", ("Some GPU",))
    monkeypatch.setattr(opening, "find_device", lambda: gpu)
    assert "; the backend found a faster device" in open_inference(network, images).describe()
    assert not counting_conversions


def test_keras_as_asked(network, images, counting_conversions):
    opened = open_inference(network, images, use_openvino=False)
    assert opened.describe() == "Keras, tensorflow float32; OpenVINO was declined"
    assert not counting_conversions


def test_keras_for_few_images(openvino, network, images, counting_conversions):
    enough = int(np.ceil(PAYING_PIXELS["tensorflow"] / 32**2))
    few = open_inference(network, images, expected_images=enough - 1)
    assert few.compute.name.startswith("Keras") and "longer to start than it saves" in few.note
    assert not counting_conversions
    many = open_inference(network, images, expected_images=enough)
    assert many.compute.name.startswith("OpenVINO") and counting_conversions == ["uint8"]


@pytest.mark.parametrize(
    "sample",
    [
        np.zeros((0, 32, 32, 3), "uint8"),
        np.zeros((32, 32, 3), "uint8"),
        np.zeros((1, 32, 32, 3)),
    ],
)
def test_a_sample_is_a_batch_of_images(network, sample):
    with pytest.raises(ValueError, match="Received: "):
        open_inference(network, sample)
